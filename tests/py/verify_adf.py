"""Validates an Atlassian document with the JSON Schema of npm's `@atlaskit/adf-schema`.

usage: verify_adf.py [--batch]     (see verifier.py for the protocol)

Input: a document as Jira takes it: {"type": "doc", "version": 1, "content": [...]}
The schema lies in the folder VERDICTD_TEST_NODE_DIR (scripts/test-setup.sh).
"""

import functools
import json
import os
import pathlib
import sys

from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from verifier import Refused, main


@functools.cache
def validator():
    """The validator of whole documents."""
    path = pathlib.Path(os.environ["VERDICTD_TEST_NODE_DIR"]) / "adf-schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    return validator_for(schema)(schema)


def verify(document):
    """Raises unless the schema accepts the document."""
    error = best_match(validator().iter_errors(document))
    if error is not None:
        where = "/".join(map(str, error.absolute_path))
        raise Refused(f"at {where or 'the top'}: {error.message[:300]}")


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
