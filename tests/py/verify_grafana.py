"""Reads an annotation of Grafana: its HTML with Python's `html.parser`, the rest by hand.

usage: verify_grafana.py [--batch]     (see verifier.py for the protocol)

Input: the stored body: {"time": ms, "end": ms, "tags": [...], "text": "...", "line": "...", ...}.
Grafana shows the text as HTML: only bold words, line breaks and our links may come out of it.
"""

import sys

from markup import check_html, check_text, within
from verifier import Refused, main

ALLOWED = {"b", "br", "a"}
# 2001 and 2100 in milliseconds: seconds would be in 1970.
FIRST_MS, LAST_MS = 978_307_200_000, 4_102_444_800_000


def verify(document):
    """Raises unless Grafana would show words and our links in a region that makes sense."""
    start, end = document["time"], document["end"]
    is_ms = all(isinstance(it, int) and FIRST_MS <= it < LAST_MS for it in (start, end))
    if not is_ms or start > end:
        raise Refused(f"{start} to {end} is no region in milliseconds")
    tags = document["tags"]
    if tags[:1] != ["verdictd"] or not all(isinstance(tag, str) and tag for tag in tags):
        raise Refused(f"tags: {tags}")
    for tag in tags:
        within("tag", tag, 100)
        check_text(tag)
    for part in ("text", "line"):
        shown = check_html(document[part], ALLOWED)
        if not shown.strip():
            raise Refused(f"{part} says nothing")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
