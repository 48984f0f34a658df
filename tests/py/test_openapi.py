"""The committed description of the HTTP API is a valid OpenAPI 3.1 document.

That it says what the daemon does is held by the Rust tests; here an independent reader judges its
form. A document that is broken on purpose must be refused, or the reader would prove nothing.
"""

import copy
import json
import pathlib
import unittest

from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = pathlib.Path(__file__).parents[2]


def faults(document):
    return [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]


class Document(unittest.TestCase):
    def setUp(self):
        text = (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
        self.document = json.loads(text)

    def test_it_is_valid(self):
        self.assertEqual(faults(self.document), [])

    def test_broken_ones_are_refused(self):
        def no_title(document):
            del document["info"]["title"]

        def no_answers(document):
            document["paths"]["/healthz"]["get"]["responses"] = {}

        def stray_parameter(document):
            document["paths"]["/api/v1/experiments/{id}"]["get"]["parameters"] = []

        for spoil in (no_title, no_answers, stray_parameter):
            broken = copy.deepcopy(self.document)
            spoil(broken)
            self.assertNotEqual(faults(broken), [], spoil.__name__)


if __name__ == "__main__":
    unittest.main()
