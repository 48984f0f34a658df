"""Verifies a received webhook with the PyPI package `standardwebhooks`.

usage: verify_webhook.py [--batch]     (see verifier.py for the protocol)

Input: {"secret": "whsec_...", "headers": {"webhook-id": ..., ...}, "body_base64": "..."}
The body is the bytes as received. The timestamp must lie within five minutes of the real clock,
as for any receiver.
"""

import base64
import sys

from standardwebhooks.webhooks import Webhook
from verifier import Refused, main

FIELDS = {"secret", "headers", "body_base64"}


def verify(document):
    """Raises unless the signature belongs to the secret, id, timestamp and body."""
    if set(document) != FIELDS:
        raise Refused(f"expected exactly the fields {sorted(FIELDS)}, got {sorted(document)}")
    body = base64.b64decode(document["body_base64"], validate=True)
    # The library appends padding to a secret that lacks it; other receivers refuse such a one.
    secret = document["secret"]
    if not secret.startswith("whsec_"):
        raise Refused("the secret does not start with whsec_")
    base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    Webhook(secret).verify(body, document["headers"])


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
