"""Reads a Mattermost post: its form by hand, its Markdown with PyPI's `cmarkgfm`.

usage: verify_mattermost.py [--batch]     (see verifier.py for the protocol)

Input: the body of an incoming webhook. Mattermost looks for mentions in an attachment's text, its
pretext and the values of its fields; titles, footer and fallback are plain words. A key that is not
known here is refused, since Mattermost drops it in silence.
"""

import re
import sys

from markup import MENTION, check_markdown, check_text, within
from verifier import Refused, main

KEYS = {"attachments", "props", "priority"}
PARTS = {"fallback", "color", "title", "text", "fields", "footer"}


def verify(document):
    """Raises unless Mattermost would show the message whole, and call nobody."""
    if not set(document) <= KEYS or len(document.get("attachments", [])) != 1:
        raise Refused(f"unknown or missing keys: {sorted(document)}")
    (attachment,) = document["attachments"]
    if not set(attachment) <= PARTS or not attachment.get("fallback", "").strip():
        raise Refused(f"unknown or missing parts: {sorted(attachment)}")
    if not re.fullmatch("#[0-9a-f]{6}", attachment["color"]):
        raise Refused("color is none")
    if document.get("priority", {"priority": "urgent", "requested_ack": True}) != {
        "priority": "urgent",
        "requested_ack": True,
    }:
        raise Refused("priority is unknown")
    card = document.get("props", {}).get("card", "")
    read = [attachment["title"], attachment["text"], card]
    for field in attachment["fields"]:
        if set(field) != {"short", "title", "value"} or not isinstance(field["short"], bool):
            raise Refused("a field is not as it should be")
        read.append(field["value"])
    for text in read:
        check_markdown(text)
    plain = [attachment["fallback"], attachment["footer"]]
    for text in plain + [field["title"] for field in attachment["fields"]]:
        check_text(text)
        if MENTION.search(text):
            raise Refused(f"a mention in {text[:60]!r}")
    within("footer", attachment["footer"], 300)
    within("post", attachment["text"] + card, 16_383 * 2)
    within("text", attachment["text"], 16_383)


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
