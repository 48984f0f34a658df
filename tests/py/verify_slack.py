"""Validates the blocks of a Slack message with the PyPI package `slack_sdk`.

usage: verify_slack.py [--batch]     (see verifier.py for the protocol)

Input: the payload of an incoming webhook: {"text": "...", "blocks": [...]}
`Block.parse_all` and `validate_json` skip an unknown block, drop an unknown key, empty text or
unknown element without a word, and know no limit of the whole message. So this also refuses: no
fallback text; no block or more than 50; a block that comes out of the library other than it went
in; a section field above 2,000 characters.
"""

import json
import sys

from slack_sdk.models.blocks import Block
from verifier import Refused, main

MAX_BLOCKS = 50
MAX_FIELD_CHARS = 2000


def verify_block(position, sent):
    """Raises unless one block is valid and was understood whole."""
    where = f"block {position} ({sent.get('type')})"
    try:
        (block,) = Block.parse_all([sent])
        if block is None:
            raise Refused("unknown to slack_sdk")
        block.validate_json()
        understood = block.to_dict()
    except Exception as error:
        raise Refused(f"{where}: {error}") from error
    if understood != sent:
        raise Refused(f"{where}: slack_sdk understood only {json.dumps(understood)}")
    for field in sent.get("fields", []):
        if len(field["text"]) > MAX_FIELD_CHARS:
            raise Refused(f"{where}: a field exceeds {MAX_FIELD_CHARS} characters")


def verify(document):
    """Raises unless Slack would show the message."""
    text = document.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Refused("no fallback text")
    blocks = document.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= MAX_BLOCKS:
        raise Refused(f"blocks must be a list of 1 to {MAX_BLOCKS}")
    if not all(isinstance(block, dict) for block in blocks):
        raise Refused("a block is not an object")
    for position, block in enumerate(blocks):
        verify_block(position, block)


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
