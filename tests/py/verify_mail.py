"""Reads a mail with Python's `email` package, as it came to PyPI's `aiosmtpd` (mail_server.py).

usage: verify_mail.py [--batch]     (see verifier.py for the protocol)

Input: {"from": "...", "to": [...], "mail_base64": "..."}: envelope and bytes. The parser may find
no defect; the headers are these and no others; the text and the HTML part are there, and nothing of
the HTML is loaded from elsewhere.
"""

import base64
import email
import email.policy
import re
import sys

from markup import check_html, check_text
from verifier import Refused, main

ALWAYS = [
    "From",
    "Date",
    "Subject",
    "Message-ID",
    "To",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]
THREAD = ["In-Reply-To", "References"]
# Put in front by the server that took it.
SERVER = {"X-Peer", "X-MailFrom", "X-RcptTo"}
ALLOWED = {
    *("!doctype html", "html", "head", "meta", "title", "body"),
    *("h1", "p", "table", "tr", "td", "b", "a"),
}
ATTRIBUTES = frozenset({"href", "style", "lang", "charset", "role"})


def verify_headers(mail, document):
    """Raises for a header that is not ours, twice there, or missing."""
    names = [name for name in mail.keys() if name not in SERVER]
    if sorted(names) != sorted(ALWAYS + [name for name in THREAD if name in names]):
        raise Refused(f"headers: {names}")
    if not re.fullmatch(r"<msg_[\w.-]+@[\w.-]+>", mail["Message-ID"].strip()):
        raise Refused(f"Message-ID: {mail['Message-ID']}")
    if mail["Auto-Submitted"] != "auto-generated" or mail["Date"].datetime is None:
        raise Refused("Auto-Submitted or Date")
    senders = [str(one.addr_spec) for one in mail["From"].addresses]
    readers = [str(one.addr_spec) for one in mail["To"].addresses]
    if senders != [document["from"]] or readers != document["to"]:
        raise Refused(f"{senders} to {readers} is not the envelope")
    subject = str(mail["Subject"])
    check_text(subject)
    if not subject.strip():
        raise Refused("no subject")


def verify(document):
    """Raises unless every mail program would show the words, and nothing else."""
    raw = base64.b64decode(document["mail_base64"], validate=True)
    if any(len(line) > 998 for line in raw.split(b"\r\n")) or not raw.isascii():
        raise Refused("a line is longer than 998, or not ASCII")
    mail = email.message_from_bytes(raw, policy=email.policy.SMTP)
    defects = [defect for part in mail.walk() for defect in part.defects]
    defects += [defect for _, value in mail.items() for defect in value.defects]
    if defects:
        raise Refused(f"defects: {defects}")
    verify_headers(mail, document)
    if mail.get_content_type() != "multipart/alternative":
        raise Refused(mail.get_content_type())
    kinds = [part.get_content_type() for part in mail.iter_parts()]
    if kinds != ["text/plain", "text/html"]:
        raise Refused(f"parts: {kinds}")
    plain, page = (part.get_content() for part in mail.iter_parts())
    check_text(plain.replace("\r\n", "\n"))
    shown = check_html(page, ALLOWED, attributes=ATTRIBUTES)
    headline = plain.split("\n")[0].strip()
    if not headline or headline not in shown or "url(" in page:
        raise Refused("the parts do not say the same, or the page loads something")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
