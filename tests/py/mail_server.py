"""A mail server on a free port of loopback (PyPI `aiosmtpd`), for the tests of mail.

usage: mail_server.py     prints its port, then one JSON object per mail; ends with its stdin

Each line is {"from": "...", "to": [...], "mail_base64": "..."}: what verify_mail.py reads.
"""

import asyncio
import base64
import json
import sys

from aiosmtpd.smtp import SMTP


class Printer:
    """Prints what comes."""

    async def handle_DATA(self, _server, _session, envelope):  # pylint: disable=invalid-name
        """Takes every mail."""
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "mail_base64": base64.b64encode(envelope.original_content).decode(),
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 printed"


async def serve():
    """Serves until whoever started it closes the standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Printer(), loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"port": port}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
