"""Valid and invalid CloudEvents in the JSON format, as differences from a base event.

`VALID` and `INVALID` are lists of a name and an event, to be sent as JSON. The cases restate those
of the CloudEvents conformance suite (https://github.com/cloudevents/conformance, Apache-2.0):
`format/json` and `features/http-protocol-binding.feature`. `EXAMPLES` restate the examples of the
specification, version 1.0.2: https://github.com/cloudevents/spec, Apache-2.0.
"""

from __future__ import annotations

from typing import Any, Final

Event = dict[str, Any]
Cases = list[tuple[str, Event]]

ABSENT: Final = object()
"""As a difference: the base event without this member."""

BASE: Event = {
    "specversion": "1.0",
    "id": "base",
    "type": "io.cloudevents.test",
    "source": "https://cloudevents.io",
}

EXAMPLE_BASE: Event = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "source": "/mycontext",
    "id": "A234-1234-1234",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
}


def vary(base: Event, differences: Event) -> Event:
    """Return `base` with other members, or without those that are `ABSENT`."""
    return {k: v for k, v in {**base, **differences}.items() if v is not ABSENT}


def _cases(base: Event, *table: tuple[str, Event]) -> Cases:
    return [(name, vary(base, differences)) for name, differences in table]


# conformance: format/json/valid-events.json
CONFORMANCE_VALID: Cases = _cases(
    BASE,
    ("minimal", {}),
    (
        "optional-attributes-null",
        {"datacontenttype": None, "dataschema": None, "subject": None, "time": None},
    ),
    (
        "all-core-attributes",
        {
            "datacontenttype": "text/plain",
            "dataschema": "https://cloudevents.io/dataschema",
            "subject": "tests",
            "time": "2018-04-05T17:31:00Z",
        },
    ),
    ("time-utc", {"time": "2018-04-05T17:31:00Z"}),
    ("time-to-nanoseconds", {"time": "2018-04-05T17:31:00.000000000Z"}),
    ("time-with-positive-offset", {"time": "2018-04-05T18:31:00+01:00"}),
    ("time-with-negative-offset", {"time": "2018-04-05T16:31:00-01:00"}),
    ("relative-source", {"source": "#fragment"}),
    ("text-data", {"datacontenttype": "text/plain", "data": "Simple text"}),
    (
        "all-extension-types",
        {
            "extinteger": 10,
            "extboolean": True,
            "extstring": "text",
            "exturi": "https://cloudevents.io",
            "exturiref": "//authority/path",
            "exttimestamp": "2023-03-31T15:12:00Z",
            "extbinary": "TWE=",
        },
    ),
)

# conformance: format/json/invalid-events.json
CONFORMANCE_INVALID: Cases = _cases(
    BASE,
    ("no-specversion", {"specversion": ABSENT}),
    ("no-id", {"id": ABSENT}),
    ("no-type", {"type": ABSENT}),
    ("no-source", {"source": ABSENT}),
    ("time-garbage", {"time": "lunchtime"}),
    ("time-to-the-minute", {"time": "2018-04-05T18:31Z"}),
    ("time-with-unknown-zone", {"time": "2018-04-05T18:31:00X"}),
    ("time-offset-out-of-range", {"time": "2018-04-05T18:31:00+25:00"}),
    ("time-offset-of-letters", {"time": "2018-04-05T18:31:00+xx:00"}),
    ("time-offset-of-hours-only", {"time": "2018-04-05T18:31:00+05"}),
    ("empty-id", {"id": ""}),
    ("empty-type", {"type": ""}),
    ("empty-source", {"source": ""}),
    ("empty-specversion", {"specversion": ""}),
    ("unknown-specversion", {"specversion": "0.9"}),
    ("datacontenttype-no-media-type", {"datacontenttype": "xyz"}),
    ("empty-datacontenttype", {"datacontenttype": ""}),
    ("empty-dataschema", {"dataschema": ""}),
    ("empty-subject", {"subject": ""}),
    ("numeric-id", {"id": 25}),
    ("object-id", {"id": {"xyz": "abc"}}),
    ("extension-with-capitals", {"MyExtension": "bad"}),
    ("extension-with-a-dot", {"my.extension": "bad"}),
    ("extension-with-a-dot-and-a-fraction", {"my.extension": 1.5}),
    ("data-and-data_base64", {"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="}),
)

# Examples of spec.md and json-format.md, section 3.2; event of http-protocol-binding.feature.
EXAMPLES: Cases = [
    *_cases(
        EXAMPLE_BASE,
        (
            "spec-pull-request",
            {
                "type": "com.github.pull_request.opened",
                "source": "https://github.com/cloudevents/spec/pull",
                "subject": "123",
                "datacontenttype": "text/xml",
                "data": '<much wow="xml"/>',
            },
        ),
        (
            "format-binary-data",
            {
                "datacontenttype": "application/vnd.apache.thrift.binary",
                "data_base64": "gAEAAQAAAAU=",
            },
        ),
        (
            "format-xml-data",
            {
                "id": "B234-1234-1234",
                "unsetextension": None,
                "datacontenttype": "application/xml",
                "data": '<much wow="xml"/>',
            },
        ),
        (
            "format-json-data",
            {
                "id": "C234-1234-1234",
                "subject": None,
                "datacontenttype": "application/json",
                "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
            },
        ),
        (
            "format-json-string",
            {"id": "D234-1234-1234", "subject": None, "data": "I'm just a string"},
        ),
    ),
    (
        "binding-structured",
        {
            "specversion": "1.0",
            "type": "com.example.someevent",
            "time": "2018-04-05T03:56:24Z",
            "id": "1234-1234-1234",
            "source": "/mycontext/subcontext",
            "datacontenttype": "application/json",
            "data": {"message": "Hello World!"},
        },
    ),
]

# Ours: what the specification says beyond the suite.
FURTHER_VALID: Cases = _cases(
    BASE,
    ("data-null", {"data": None}),
    ("data-false", {"data": False}),
    ("data-empty-string", {"data": ""}),
    ("data-number", {"data": 17.25}),
    ("data-array", {"data": [1, "two", None, {"three": [3]}]}),
    ("data-json-text-in-a-string", {"data": '{"not": "parsed"}'}),
    ("data-looks-like-an-event", {"data": {"id": "x", "specversion": "0", "a:b": "c:d"}}),
    ("data-of-a-json-dialect", {"datacontenttype": "Application/Vnd.X+JSON; v=1", "data": [1]}),
    ("data_base64-null", {"data_base64": None}),
    ("data_base64-without-type", {"data_base64": "AP8="}),
    ("data_base64-of-json", {"datacontenttype": "application/json", "data_base64": "eyJhIjoxfQ=="}),
    ("text-of-all-planes", {"subject": "é € 😀 \u200b \U000e0001", "data": "é € 😀 \u0000"}),
    ("integer-limits", {"low": -(2**31), "high": 2**31 - 1}),
    ("boolean-false", {"flag": False}),
    ("empty-extension", {"ext": ""}),
    ("long-name", {"a" * 40: "accepted, though longer than recommended"}),
    ("name-of-digits", {"0123": "x"}),
    ("source-urn", {"source": "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"}),
    ("source-mail", {"source": "mailto:cncf-wg-serverless@lists.cncf.io"}),
    ("source-path", {"source": "/sensors/tn-1234567/alerts"}),
    ("source-number", {"source": "1-555-123-4567"}),
    ("leap-day", {"time": "2024-02-29T23:59:59.999999999Z"}),
    ("leap-second", {"time": "2016-12-31T23:59:60Z"}),
    ("time-lower-case", {"time": "2018-04-05t17:31:00z"}),
)

FURTHER_INVALID: Cases = _cases(
    BASE,
    ("null-id", {"id": None}),
    ("specversion-number", {"specversion": 1.0}),
    ("specversion-patch", {"specversion": "1.0.2"}),
    ("source-with-a-blank", {"source": "/a b"}),
    ("source-not-ascii", {"source": "/é"}),
    ("source-colon-in-first-segment", {"source": "1:b"}),
    ("dataschema-relative", {"dataschema": "/schema"}),
    ("no-leap-day", {"time": "2023-02-29T00:00:00Z"}),
    ("no-leap-second", {"time": "2018-04-05T17:31:60Z"}),
    ("time-without-zone", {"time": "2018-04-05T17:31:00"}),
    ("time-number", {"time": 1522949460}),
    ("control-character-in-id", {"id": "a\nb"}),
    ("non-character-in-subject", {"subject": "\uffff"}),
    ("control-character-in-extension", {"ext": "\u0085"}),
    ("fraction", {"ext": 1.5}),
    ("whole-fraction", {"ext": 1.0}),
    ("integer-too-large", {"ext": 2**31}),
    ("integer-too-small", {"ext": -(2**31) - 1}),
    ("array-extension", {"ext": []}),
    ("object-extension", {"ext": {}}),
    ("empty-name", {"": "x"}),
    ("name-with-hyphen", {"my-ext": "x"}),
    ("name-with-underscore", {"my_ext": "x"}),
    ("name-not-ascii", {"é": "x"}),
    ("null-under-a-bad-name", {"Ext": None}),
    ("data_base64-garbage", {"data_base64": "?"}),
    ("data_base64-number", {"data_base64": 1}),
    ("data_base64-and-null-data", {"data": None, "data_base64": "YQ=="}),
    ("data_base64-no-json", {"datacontenttype": "text/json", "data_base64": "YQ=="}),
)

VALID: Cases = [*CONFORMANCE_VALID, *EXAMPLES, *FURTHER_VALID]
INVALID: Cases = [*CONFORMANCE_INVALID, *FURTHER_INVALID]
