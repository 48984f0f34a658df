"""Decodes a CloudEvent in HTTP binary mode with the PyPI package `cloudevents`.

usage: verify_cloudevents.py [--batch]     (see verifier.py for the protocol)

Input: {"headers": {"ce-id": ..., ...}, "body_base64": "..."}, as received.
The library fills in a missing id and time, and takes a header that it need not decode; so this
also refuses: a missing required attribute, a value with bytes that must be escaped, an attribute
name outside a-z and 0-9, a `ce-datacontenttype`, an id other than the `webhook-id`, a time that is
no RFC 3339, and what does not come out as it is in the body.
"""

import base64
import datetime
import json
import re
import sys
import urllib.parse

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from verifier import Refused, main

REQUIRED = ["ce-id", "ce-source", "ce-specversion", "ce-type"]
ESCAPED = re.compile(r'(?:[\x21\x23\x24\x26-\x7e]|%[0-9A-F]{2})+')


def verify_headers(headers):
    """Raises unless the attributes are as the HTTP binding wants them."""
    missing = [name for name in REQUIRED if not headers.get(name)]
    if missing:
        raise Refused(f"missing: {missing}")
    if headers["ce-specversion"] != "1.0":
        raise Refused("specversion is not 1.0")
    if headers["ce-id"] != headers.get("webhook-id"):
        raise Refused("ce-id is not the webhook-id")
    if headers.get("content-type") != "application/json":
        raise Refused("content-type is not application/json")
    for name, value in headers.items():
        if not name.startswith("ce-"):
            continue
        if name == "ce-datacontenttype" or not re.fullmatch(r"ce-[a-z0-9]{1,20}", name):
            raise Refused(f"{name} is no attribute of binary mode")
        if not ESCAPED.fullmatch(value):
            raise Refused(f"{name} is not escaped")


def verify(document):
    """Raises unless the event says what its body says."""
    headers = {name.lower(): value for name, value in document["headers"].items()}
    verify_headers(headers)
    body = base64.b64decode(document["body_base64"], validate=True)
    event = from_http_event(HTTPMessage(headers, body))
    content = json.loads(body)
    if event.get_data() != content:
        raise Refused("the data is not the body")
    if event.get_type() != content["type"]:
        raise Refused("the type is not that of the body")
    if event.get_id() != urllib.parse.unquote(headers["ce-id"]):
        raise Refused("the id is not that of the header")
    when = datetime.datetime.fromisoformat(content["timestamp"].replace("Z", "+00:00"))
    if event.get_time() != when:
        raise Refused("the time is not that of the body")
    experiment = content["data"].get("experiment", {}).get("id")
    if experiment and event.get_subject() != experiment:
        raise Refused("the subject is not the experiment")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
