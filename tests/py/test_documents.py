"""The verifiers of cards, Atlassian documents, CloudEvents and of Node accept what is good and
refuse what is altered; a verifier that accepts anything would prove nothing."""

import base64
import copy
import json
import os
import pathlib
import subprocess
import time
import unittest

from test_verifiers import BODY, KEY, SECRET, run, signature

NODE = pathlib.Path(__file__).parent.parent / "js" / "verify_webhook.mjs"
# RFC 8032, section 7.1, test 1.
PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "whpk_" + base64.b64encode(
    bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
).decode()

CARD = {
    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": "AdaptiveCard",
    "version": "1.2",
    "msteams": {"width": "full"},
    "body": [
        {"type": "TextBlock", "text": "stop", "wrap": True, "color": "Attention"},
        {"type": "FactSet", "facts": [{"title": "errors", "value": "0.2 %"}]},
    ],
    "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://v.example/"}],
}
TEAMS = {
    "type": "message",
    "attachments": [
        {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": CARD,
        }
    ],
}
PARAGRAPH = {
    "type": "paragraph",
    "content": [{"type": "text", "text": "stop", "marks": [{"type": "strong"}]}],
}
ADF = {"type": "doc", "version": 1, "content": [PARAGRAPH]}
EVENT = {
    "headers": {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "ce-id": "msg_1",
        "ce-source": "https://v.example",
        "ce-specversion": "1.0",
        "ce-type": "experiment.verdict.stop",
        "ce-subject": "%C3%A4%20b",
        "ce-time": "2026-08-11T00:00:00Z",
    },
    "body": {
        "type": "experiment.verdict.stop",
        "timestamp": "2026-08-11T00:00:00Z",
        "data": {"experiment": {"id": "ä b"}},
    },
}
GONE = object()


def altered(document, path, value):
    """A copy with one place changed, or taken away."""
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


def event(document):
    """A document for verify_cloudevents.py."""
    body = json.dumps(document["body"]).encode()
    return {"headers": document["headers"], "body_base64": base64.b64encode(body).decode()}


class Documents(unittest.TestCase):
    """verify_card.py, verify_adf.py and verify_cloudevents.py"""

    def verdicts(self, script, documents):
        """One line for each document."""
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        _, results = run(script, lines, "--batch")
        self.assertEqual(len(results), len(documents), results)
        return results

    def check(self, script, good, bad):
        """The good document is accepted, every altered one is refused."""
        results = self.verdicts(script, [good, *bad])
        self.assertEqual(results[0], "ok")
        for document, result in zip(bad, results[1:]):
            self.assertNotEqual(result, "ok", document)

    def test_cards(self):
        content = ("attachments", 0, "content")
        changes = [
            (("type",), "Message"),
            (("attachments",), []),
            (("attachments", 0, "contentType"), "application/json"),
            ((*content, "type"), "Card"),
            ((*content, "version"), "1.9"),
            ((*content, "msteams"), {"width": "wide"}),
            ((*content, "body", 0, "type"), "Textblock"),
            ((*content, "body", 0, "color"), "Red"),
            ((*content, "body", 0, "surprise"), 1),
            ((*content, "body", 0, "text"), GONE),
            ((*content, "body", 0, "text"), "[click](https://evil.example)"),
            ((*content, "body", 0, "text"), "https://evil.example"),
            ((*content, "body", 1, "facts", 0, "value"), "**bold** @jane"),
            ((*content, "body", 1, "facts", 0, "value"), GONE),
            ((*content, "actions", 0, "url"), "javascript:alert(1)"),
            ((*content, "actions", 0, "url"), GONE),
        ]
        self.check("verify_card.py", TEAMS, [altered(TEAMS, *change) for change in changes])

    def test_atlassian_documents(self):
        changes = [
            (("version",), GONE),
            (("type",), "document"),
            (("content", 0), {"type": "text", "text": "bare"}),
            (("content", 0, "content", 0, "text"), ""),
            (("content", 0, "content", 0, "marks", 0, "type"), "loud"),
            (("content", 0, "type"), "para"),
            (("surprise",), 1),
        ]
        self.check("verify_adf.py", ADF, [altered(ADF, *change) for change in changes])

    def test_cloudevents(self):
        changes = [
            (("headers", "ce-id"), GONE),
            (("headers", "ce-id"), "msg_2"),
            (("headers", "ce-type"), "experiment.verdict.change"),
            (("headers", "ce-type"), ""),
            (("headers", "ce-source"), GONE),
            (("headers", "ce-specversion"), "0.3"),
            (("headers", "ce-subject"), "ä b"),
            (("headers", "ce-subject"), "%C3%A4 b"),
            (("headers", "ce-subject"), "%c3%a4%20b"),
            (("headers", "ce-time"), "yesterday"),
            (("headers", "ce-time"), "2026-08-11T00:00:01Z"),
            (("headers", "ce-datacontenttype"), "application/json"),
            (("headers", "ce-Two_Words"), "x"),
            (("headers", "content-type"), "text/plain"),
            (("body", "type"), "experiment.verdict.hold"),
        ]
        bad = [event(altered(EVENT, *change)) for change in changes]
        self.check("verify_cloudevents.py", event(EVENT), bad)


class Node(unittest.TestCase):
    """verify_webhook.mjs"""

    def verdicts(self, documents):
        """One line for each document."""
        lines = "".join(json.dumps(document) + "\n" for document in documents)
        process = subprocess.run(
            [os.environ.get("VERDICTD_TEST_NODE", "node"), NODE],
            input=lines.encode(),
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        return process.returncode, process.stdout.decode().splitlines()

    def asymmetric(self, stamp, body):
        """A `v1a` entry, made by Node itself."""
        script = (
            "const c=require('crypto');"
            "const[seed,text]=process.argv.slice(1).map(a=>Buffer.from(a,'base64'));"
            "const der=Buffer.concat([Buffer.from('302e020100300506032b657004220420','hex'),seed]);"
            "const key=c.createPrivateKey({key:der,format:'der',type:'pkcs8'});"
            "console.log('v1a,'+c.sign(null,text,key).toString('base64'))"
        )
        text = f"msg_1.{stamp}.".encode() + body
        arguments = [base64.b64encode(it).decode() for it in (PRIVATE, text)]
        node = os.environ.get("VERDICTD_TEST_NODE", "node")
        made = subprocess.run([node, "-e", script, *arguments], capture_output=True, check=True)
        return made.stdout.decode().strip()

    def test_both_kinds_of_signatures(self):
        stamp = int(time.time())
        shared = signature(KEY, "msg_1", stamp, BODY)
        asymmetric = self.asymmetric(stamp, BODY)
        good = {
            "secret": SECRET,
            "public_key": PUBLIC,
            "headers": {
                "webhook-id": "msg_1",
                "webhook-timestamp": str(stamp),
                "webhook-signature": f"{shared} {asymmetric}",
            },
            "body_base64": base64.b64encode(BODY).decode(),
        }
        name = ("headers", "webhook-signature")
        self.assertEqual(self.verdicts([good]), (0, ["ok"]))
        bad = [
            altered(good, name, shared),
            altered(good, name, asymmetric),
            altered(good, name, f"{shared} {asymmetric.replace('v1a', 'v1')}"),
            altered(good, ("headers", "webhook-id"), "msg_2"),
            altered(good, ("headers", "webhook-timestamp"), str(stamp - 600)),
            altered(good, ("body_base64",), base64.b64encode(BODY + b" ").decode()),
            altered(altered(good, ("secret",), GONE), ("public_key",), GONE),
        ]
        code, results = self.verdicts(bad)
        self.assertEqual((code, len(results)), (1, len(bad)), results)
        self.assertNotIn("ok", results)


if __name__ == "__main__":
    unittest.main()
