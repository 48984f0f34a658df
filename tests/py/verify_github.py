"""Reads an issue or comment as GitHub shows it, with GitHub's own parser (PyPI `cmarkgfm`).

usage: verify_github.py [--batch]     (see verifier.py for the protocol)

Input: the stored body: {"title": "...", "text": "...", "labels": [...], ...}. The title is shown as
it is. In the text nobody may be mentioned, no other issue named, and every link is one of ours.
"""

import sys

from markup import check_markdown, check_text, within
from verifier import Refused, main


def verify(document):
    """Raises unless GitHub would show words and our links."""
    title, text = document["title"], document["text"]
    if not title.strip() or not text.strip():
        raise Refused("nothing is said")
    within("title", title, 256)
    within("text", text, 65_536)
    check_text(title)
    if "`" in title:
        raise Refused("a title is shown with its code spans")
    check_markdown(text, references=True)
    labels = document["labels"]
    if labels[:1] != ["verdictd"] or not all(isinstance(label, str) for label in labels):
        raise Refused(f"labels: {labels}")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
