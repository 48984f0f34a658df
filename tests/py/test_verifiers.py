"""Checks the verifiers themselves: a verifier that accepts everything would prove nothing.

Run by scripts/test.sh with the interpreter of the test environment. The signatures are computed
here from the text of the Standard Webhooks specification, not with the library under use.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).parent
KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = '{"verdict":"stop","cause":"tripped","because":"Fehler über 0,1 %"}'.encode()


def run(script, text, *arguments):
    """Returns (exit code, output lines) of one verifier process."""
    process = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        input=text.encode(),
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    return process.returncode, process.stdout.decode().splitlines()


def signature(key, message_id, timestamp, body):
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def webhook(*, key=KEY, age=0, body=BODY, sent_body=None, secret=SECRET, before="", **headers):
    """A document for verify_webhook.py; the arguments spoil one part each."""
    timestamp = int(time.time()) - age
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": before + signature(key, "msg_1", timestamp, body),
    }
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    sent_body = body if sent_body is None else sent_body
    encoded = base64.b64encode(sent_body).decode()
    return {"secret": secret, "headers": sent, "body_base64": encoded}


def slack(*blocks, text="stop: activation"):
    """A document for verify_slack.py."""
    return {"text": text, "blocks": list(blocks)}


def section(text, **extra):
    """A section block with markdown text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **extra}


HEADER = {"type": "header", "text": {"type": "plain_text", "text": "stop: activation"}}
FIELDS = [{"type": "mrkdwn", "text": "*wanted*\n+3 pts"}, {"type": "plain_text", "text": "seen"}]
RICH = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [{"type": "text", "text": "because *", "style": {"bold": True}}],
        }
    ],
}
BUTTON = {
    "type": "button",
    "action_id": "open",
    "text": {"type": "plain_text", "text": "Open"},
    "url": "http://127.0.0.1:8087/",
}


class Webhooks(unittest.TestCase):
    """verify_webhook.py"""

    def refuse(self, document, reason):
        """The document must be refused for this reason."""
        code, lines = run("verify_webhook.py", json.dumps(document))
        self.assertEqual((code, len(lines)), (1, 1), lines)
        self.assertIn(reason, lines[0])

    def test_accepts_a_signature_made_by_hand(self):
        self.assertEqual(run("verify_webhook.py", json.dumps(webhook())), (0, ["ok"]))

    def test_accepts_the_second_signature_during_rotation(self):
        old = signature(b"another key of 24 bytes!", "msg_1", 0, BODY)
        document = webhook(before=old + " ")
        self.assertEqual(run("verify_webhook.py", json.dumps(document)), (0, ["ok"]))

    def test_refuses_what_was_tampered_with(self):
        self.refuse(webhook(sent_body=BODY + b" "), "No matching signature")
        self.refuse(webhook(key=b"another key of 24 bytes!"), "No matching signature")
        self.refuse(webhook(webhook_id="msg_2"), "No matching signature")

    def test_refuses_old_and_future_timestamps(self):
        self.refuse(webhook(age=600), "too old")
        self.refuse(webhook(age=-600), "too new")

    def test_refuses_missing_headers_and_odd_secrets(self):
        self.refuse({**webhook(), "headers": {}}, "Missing required headers")
        self.refuse(webhook(secret=SECRET.removeprefix("whsec_")), "whsec_")
        self.refuse(webhook(secret="whsec_YQ"), "padding")
        self.refuse({"secret": SECRET}, "expected exactly the fields")

    def test_batch_answers_each_line_and_survives_rubbish(self):
        lines = [json.dumps(webhook()), "no json", "[]", json.dumps(webhook(age=600))]
        code, results = run("verify_webhook.py", "\n".join(lines) + "\n", "--batch")
        self.assertEqual((code, len(results)), (1, 4), results)
        self.assertEqual(results[0], "ok")
        self.assertIn("JSONDecodeError", results[1])
        self.assertIn("not a JSON object", results[2])
        self.assertIn("too old", results[3])

    def test_batch_of_good_lines_exits_zero(self):
        lines = (json.dumps(webhook()) + "\n") * 3
        self.assertEqual(run("verify_webhook.py", lines, "--batch"), (0, ["ok"] * 3))

    def test_unknown_argument_is_a_usage_error(self):
        self.assertEqual(run("verify_webhook.py", "", "--bogus"), (2, []))


class Slack(unittest.TestCase):
    """verify_slack.py"""

    def refuse(self, document, reason):
        """The document must be refused for this reason."""
        code, lines = run("verify_slack.py", json.dumps(document))
        self.assertEqual((code, len(lines)), (1, 1), lines)
        self.assertIn(reason, lines[0])

    def test_accepts_the_blocks_that_a_verdict_uses(self):
        document = slack(
            HEADER,
            section("*activation* +0.1 pts", fields=FIELDS),
            RICH,
            {"type": "divider"},
            {"type": "actions", "elements": [BUTTON]},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "look 42"}]},
        )
        self.assertEqual(run("verify_slack.py", json.dumps(document)), (0, ["ok"]))

    def test_refuses_blocks_above_their_limits(self):
        long_header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
        self.refuse(slack(long_header), "block 0 (header)")
        self.refuse(slack(HEADER, section("x" * 3001)), "block 1 (section)")
        self.refuse(slack(section("x", fields=FIELDS * 6)), "block 0 (section)")
        long_field = {"type": "mrkdwn", "text": "x" * 2001}
        self.refuse(slack(section("x", fields=[long_field])), "slackblocks: `text` length")
        self.refuse(slack(*[{"type": "divider"}] * 51), "1 to 50")

    def test_refuses_what_the_library_would_drop_in_silence(self):
        self.refuse(slack({"type": "bogus"}), "unknown to slack_sdk")
        self.refuse(slack({"type": "divider", "colour": "red"}), "understood only")
        self.refuse(slack(section("")), "understood only")
        self.refuse(slack({"type": "actions", "elements": [{"type": "bogus"}]}), "understood only")
        typo = {"type": "section", "text": {"type": "markdown", "text": "x"}}
        self.refuse(slack(typo), "understood only")

    def test_refuses_messages_without_text_or_blocks(self):
        self.refuse(slack(HEADER, text=" "), "no fallback text")
        self.refuse(slack(), "1 to 50")
        self.refuse(slack("divider"), "not an object")
        self.refuse({"text": "x"}, "1 to 50")

    def test_batch_answers_each_line(self):
        lines = "\n".join(map(json.dumps, [slack(HEADER), slack(), slack({"type": "divider"})]))
        code, results = run("verify_slack.py", lines + "\n", "--batch")
        self.assertEqual((code, results[0], results[2], len(results)), (1, "ok", "ok", 3))


if __name__ == "__main__":
    unittest.main()
