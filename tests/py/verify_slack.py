"""Validates the blocks of a Slack message with the PyPI packages `slack_sdk` and `slackblocks`.

usage: verify_slack.py [--batch]     (see verifier.py for the protocol)

Input: the payload of an incoming webhook: {"text": "...", "blocks": [...]}
`Block.parse_all` and `validate_json` skip an unknown block, drop an unknown key, empty text or
unknown element without a word, and know no limit of the whole message. So this also refuses: no
fallback text; no block or more than 50; a block that comes out of the library other than it went
in; a section field above 2,000 characters. `slackblocks` knows that limit and others, and reads
blocks by itself, but no actions and no rich text; those have `slack_sdk` alone.
"""

import json
import sys

from slack_sdk.models.blocks import Block
from slackblocks.blocks import Block as OtherBlock
from verifier import Refused, main

MAX_BLOCKS = 50
MAX_FIELD_CHARS = 2000
# What `slackblocks` cannot read back yet.
ONE_LIBRARY = {"actions", "rich_text"}


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
    if sent["type"] not in ONE_LIBRARY:
        verify_with_slackblocks(where, sent)
    for field in sent.get("fields", []):
        if len(field["text"]) > MAX_FIELD_CHARS:
            raise Refused(f"{where}: a field exceeds {MAX_FIELD_CHARS} characters")


def without_defaults(value):
    """Without what `slackblocks` adds (a random id) or leaves out (the default of `emoji`)."""
    if isinstance(value, dict):
        kept = {key: it for key, it in value.items() if key not in ("block_id", "emoji")}
        return {key: without_defaults(it) for key, it in kept.items()}
    return list(map(without_defaults, value)) if isinstance(value, list) else value


def verify_with_slackblocks(where, sent):
    """Raises unless the other library reads the block, and reads all of it."""
    try:
        understood = OtherBlock.from_dict(sent)._resolve()  # pylint: disable=protected-access
    except Exception as error:
        raise Refused(f"{where}: slackblocks: {error}") from error
    if without_defaults(understood) != without_defaults(sent):
        raise Refused(f"{where}: slackblocks understood only {json.dumps(understood)}")


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
