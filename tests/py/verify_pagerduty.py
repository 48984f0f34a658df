"""Builds a PagerDuty event with PagerDuty's own client (PyPI `pagerduty`) and compares.

usage: verify_pagerduty.py [--batch]     (see verifier.py for the protocol)

Input: an event without its routing key. The client makes an event of the same parts; what comes out
must be what we send. By hand, after PagerDuty's documentation: severity, timestamp, the lengths of
summary and key, and the size of the whole.
"""

import datetime
import json
import sys

import pagerduty
from markup import check_text, within
from verifier import Refused, main

SEVERITIES = {"critical", "error", "warning", "info"}
ACTIONS = {"trigger", "acknowledge", "resolve"}
# What the client has no argument for.
BESIDE = {"client", "client_url"}


class Client(pagerduty.EventsApiV2Client):
    """A client that keeps what it would send."""

    event = None

    def post(self, url, json=None, **more):
        """Keeps the event and answers as PagerDuty does."""
        self.event = json
        answer = {"status": "success", "dedup_key": json.get("dedup_key", "x")}
        return pagerduty_answer(answer)


def pagerduty_answer(body):
    """A response as the client's HTTP library gives it."""

    class Answer:
        """Only what the client looks at."""

        status_code = 202
        is_success = ok = True
        text = str(body)
        url = "https://events.pagerduty.com/v2/enqueue"

        @staticmethod
        def json():
            """The body."""
            return body

    return Answer()


def rebuilt(event):
    """The event as the client makes it."""
    client = Client("R" * 32)
    payload = dict(event["payload"])
    action, key = event["event_action"], event["dedup_key"]
    if action == "trigger":
        summary, source = payload.pop("summary"), payload.pop("source")
        severity = payload.pop("severity")
        client.trigger(summary, source, key, severity, payload=payload, links=event["links"])
    else:
        properties = {name: event[name] for name in ("payload", "links") if name in event}
        client.send_event(action, key, **properties)
    return client.event


def verify(event):
    """Raises unless PagerDuty would take the event."""
    if event.get("event_action") not in ACTIONS:
        raise Refused("event_action is unknown")
    if "routing_key" in event:
        raise Refused("the routing key is a secret and not stored")
    ours = {name: value for name, value in event.items() if name not in BESIDE}
    if not ours["links"]:
        ours.pop("links")
    theirs = rebuilt({**ours, "links": ours.get("links", [])})
    if not theirs.get("links"):
        theirs.pop("links", None)
    if theirs != ours:
        raise Refused(f"the client makes {json.dumps(theirs)[:300]}")
    payload = event["payload"]
    for name in ("summary", "source", "severity"):
        if not isinstance(payload.get(name), str) or not payload[name]:
            raise Refused(f"payload.{name} is missing")
    if payload["severity"] not in SEVERITIES:
        raise Refused("severity is unknown")
    datetime.datetime.fromisoformat(payload["timestamp"].replace("Z", "+00:00"))
    within("summary", payload["summary"], 1_024)
    within("dedup_key", event["dedup_key"], 255)
    check_text(payload["summary"])
    for link in event["links"]:
        if set(link) != {"href", "text"} or not link["href"].startswith(("https://", "http://")):
            raise Refused(f"a link is {link}")
    if not event.get("client_url", "https://").startswith(("https://", "http://")):
        raise Refused("client_url is no address")
    if any(value is None for value in [*event.values(), *payload.values()]):
        raise Refused("a null")
    if len(json.dumps(event).encode()) > 512_000:
        raise Refused("larger than 512 kB")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
