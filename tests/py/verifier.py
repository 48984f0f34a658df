"""The shared shell of the verifiers: what they read, what they print, how they exit.

One document: a JSON object on stdin; prints `ok` or the reason; exit code 0 or 1.
Batch (`--batch`): one JSON object per line; one result line each, in order, flushed at once, so
that a test may keep the process open; exit code 0 only if every line was `ok`. An input that is no
JSON object is refused like any other: it never passes and never ends a batch.
"""

import json
import sys


class Refused(Exception):
    """The document was read and is not acceptable; the message says why."""


def judge(text, verify):
    """Returns `ok` or the reason, always on one line."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise Refused("the input is not a JSON object")
        verify(document)
    # Whatever the library raises on hostile input is a refusal, not a crash of the batch.
    except Exception as error:  # pylint: disable=broad-exception-caught
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        return " ".join(reason.split()) or type(error).__name__
    return "ok"


def main(verify, usage):
    """Runs `verify(document)` over stdin; returns the exit code."""
    arguments = sys.argv[1:]
    if arguments not in ([], ["--batch"]):
        print(usage.strip(), file=sys.stderr)
        return 2
    if not arguments:
        result = judge(sys.stdin.buffer.read(), verify)
        print(result)
        return 0 if result == "ok" else 1
    refused = 0
    for line in sys.stdin.buffer:
        result = judge(line, verify)
        refused += result != "ok"
        print(result, flush=True)
    return 1 if refused else 0
