"""Evaluates our flags.json with the in-process provider of OpenFeature for flagd.

usage: flagd.py URL FLAG EXPECTED_VARIANT [BEARER_TOKEN]

Fetches URL, gives the file to `openfeature-provider-flagd` (PyPI, 0.6.1) in file mode, evaluates
the boolean FLAG, and compares the variant. Then it fetches again with the ETag it got: that must be
a 304. Not in the test command: it needs packages of its own.

    python3 -m venv /tmp/flagd && /tmp/flagd/bin/pip install openfeature-provider-flagd==0.6.1
    /tmp/flagd/bin/python tests/flags/flagd.py http://127.0.0.1:8087/flagd/flags.json short on
"""

import sys
import tempfile
import urllib.error
import urllib.request

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType


def fetch(url, token, etag=None):
    """Returns status, ETag and body."""
    request = urllib.request.Request(url, headers={"User-Agent": "flagd-provider-check"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if etag:
        request.add_header("If-None-Match", etag)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.headers["ETag"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("ETag"), b""


def evaluate(body, flag):
    """The provider's own evaluation of one flag of the file."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(body)
        file.flush()
        provider = FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=file.name
        )
        api.set_provider(provider)
        details = api.get_client().get_boolean_details(flag, True)
        api.shutdown()
    return details


def main():
    """Exit code 0 when everything is as expected."""
    if len(sys.argv) not in (4, 5):
        print(__doc__, file=sys.stderr)
        return 2
    url, flag, expected, *token = sys.argv[1:]
    token = token[0] if token else None
    status, etag, body = fetch(url, token)
    details = evaluate(body, flag)
    again = fetch(url, token, etag)[0]
    print(f"HTTP {status}, ETag {etag}, {flag} is {details.variant} ({details.value}), "
          f"error {details.error_code}, again {again}")
    is_good = status == 200 and again == 304 and details.error_code is None
    return 0 if is_good and details.variant == expected else 1


if __name__ == "__main__":
    sys.exit(main())
