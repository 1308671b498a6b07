"""Data as instances of declared classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import attrs
import msgspec
import pytest
from hypothesis import given

from tests.data.cloudevents import BASE
from tests.wire.support import binary, json_values, refused, structured, why_refused, with_members
from txevents import Envelope
from txevents.wire.cloudevents import read_structured
from txevents.wire.typed import read_typed


class Color(Enum):
    RED = "red"


@attrs.frozen
class AttrsLine:
    sku: str
    count: int = 1


@attrs.frozen
class AttrsOrder:
    number: int
    total: Decimal
    placed: datetime
    lines: list[AttrsLine] = attrs.Factory(list)
    color: Color | None = None


@dataclass(frozen=True)
class DataLine:
    sku: str
    count: int = 1


@dataclass(frozen=True)
class DataOrder:
    number: int
    total: Decimal
    placed: datetime
    lines: list[DataLine] = field(default_factory=list)
    color: Color | None = None


class StructLine(msgspec.Struct, frozen=True):
    sku: str
    count: int = 1


class StructOrder(msgspec.Struct, frozen=True):
    number: int
    total: Decimal
    placed: datetime
    lines: list[StructLine] = []
    color: Color | None = None


ORDER = (
    b'{"number": 17, "total": "12.50", "placed": "2018-04-05T17:31:00Z",'
    b' "lines": [{"sku": "a"}, {"sku": "b", "count": 2}], "color": "red", "unknown": [1]}'
)
MINIMAL = b'"number":1,"total":"1","placed":"2018-04-05T17:31:00Z"'

each_kind = pytest.mark.parametrize("order", [AttrsOrder, DataOrder, StructOrder])


def event(data: bytes) -> Envelope:
    return read_structured(with_members(b'"data":' + data))


@each_kind
def test_data_becomes_an_instance_of_the_class(order: Any) -> None:
    got = read_typed(event(ORDER), order)

    assert type(got) is order
    assert (got.number, got.total, got.color) == (17, Decimal("12.50"), Color.RED)
    assert got.placed == datetime(2018, 4, 5, 17, 31, tzinfo=UTC)
    assert [(line.sku, line.count) for line in got.lines] == [("a", 1), ("b", 2)]


@each_kind
def test_defaults_are_those_of_the_class(order: Any) -> None:
    got = read_typed(event(b"{%b}" % MINIMAL), order)

    assert (got.lines, got.color) == ([], None)


def test_data_in_binary_mode_and_in_base64_is_read_alike() -> None:
    in_body = binary({"content-type": b"application/json"}, b'{"sku":"a"}')
    in_base64 = structured(
        {**BASE, "datacontenttype": "application/json", "data_base64": "eyJza3UiOiJhIn0="}
    )

    assert read_typed(in_body, DataLine) == read_typed(in_base64, DataLine) == DataLine("a")


@pytest.mark.parametrize("number", [b"12.50", b"0.1", b"1e2", b"1234567890.12345678901234567890"])
def test_decimals_are_exact_also_when_sent_as_numbers(number: bytes) -> None:
    text = b'{"number":1,"placed":"2018-04-05T17:31:00Z","total":%b}' % number

    assert read_typed(event(text), AttrsOrder).total == Decimal(number.decode())


@each_kind
@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"{}", "data.number: required, and missing"),
        (b'{"number":"1"}', "data.number: expected int, got str"),
        (b'{"number":1.5}', "data.number: expected int, got float"),
        (b'{"number":null}', "data.number: expected int, got null"),
        (b'{"total":"much"}', "data.total: expected decimal"),
        (b'{"total":[]}', "data.total: expected decimal, got array"),
        (b'{"placed":"today"}', "data.placed: expected RFC3339 encoded datetime"),
        (b'{%b,"lines":{}}' % MINIMAL, "data.lines: expected array, got object"),
        (b'{%b,"lines":[{"sku":"a"},{}]}' % MINIMAL, "data.lines[1].sku: required, and missing"),
        (b'{%b,"lines":[{"sku":1}]}' % MINIMAL, "data.lines[0].sku: expected str, got int"),
        (b'{%b,"color":"blue"}' % MINIMAL, "data.color: cannot be 'blue'"),
        (b'{%b,"color":1}' % MINIMAL, "data.color: expected str | null, got int"),
        (b"[]", "data: expected object, got array"),
        (b"null", "data: expected object, got null"),
        (b'"text"', "data: expected object, got str"),
    ],
)
def test_a_field_that_does_not_fit_is_named(order: Any, data: bytes, detail: str) -> None:
    assert refused(read_typed, event(data), order, status=422) == detail


class Everything(msgspec.Struct, forbid_unknown_fields=True):
    numbers: dict[int, int] = {}
    pair: tuple[int, str] = (1, "")
    day: date = date(2018, 4, 5)
    span: timedelta = timedelta()
    uuid: UUID = UUID(int=0)
    blob: bytes = b""
    word: Literal["x", "y"] = "x"
    real: float = 0.0
    any: Any = None


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b'{"numbers":{"x":1}}', "data.numbers: expected int, got str"),
        (b'{"numbers":{"1":"x"}}', "data.numbers[...]: expected int, got str"),
        (b'{"pair":[1]}', "data.pair: Expected `array` of length 2"),
        (b'{"day":"x"}', "data.day: expected RFC3339 encoded date"),
        (b'{"span":"x"}', "data.span: expected ISO8601 duration"),
        (b'{"uuid":"x"}', "data.uuid: expected UUID"),
        (b'{"blob":"!"}', "data.blob: expected base64 encoded"),
        (b'{"word":"z"}', "data.word: cannot be 'z'"),
        (b'{"real":"1"}', "data.real: expected float, got str"),
        (b'{"more":1}', "data: Object contains unknown field `more`"),
    ],
)
def test_other_types_are_explained_as_well(data: bytes, detail: str) -> None:
    assert refused(read_typed, event(data), Everything, status=422) == detail


@pytest.mark.parametrize(
    "data",
    [
        b'{"word":"%b"}' % (b"x" * 100_000),
        b'{"%b":1}' % (b"x" * 100_000),
        b'{"\\u0000\\u001b[31m\\u2028":1}',
        b'{"word":"\\u0000\\u001b[31m\\u2028"}',
        b'{"x - at `$.a\\u0000%b":1}' % (b"x" * 100_000),
    ],
)
def test_a_refusal_that_quotes_the_sender_is_short_and_printable(data: bytes) -> None:
    assert refused(read_typed, event(data), Everything, status=422).startswith("data")


def test_a_value_cannot_pass_itself_off_as_a_place() -> None:
    detail = refused(read_typed, event(b'{"word":"z - at `$.real`"}'), Everything, status=422)

    assert detail == "data.word: cannot be 'z - at `$.real`'"


@attrs.frozen
class Positive:
    n: int = attrs.field()
    m: int = attrs.field(default=1, validator=attrs.validators.gt(0))

    @n.validator
    def _check(self, attribute: object, value: int) -> None:
        if value < 0:
            raise ValueError(f"n must not be negative\n{'!' * 1000}")


@dataclass
class Even:
    n: int

    def __post_init__(self) -> None:
        if self.n % 2:
            raise ValueError("n must be even")


class Odd(msgspec.Struct):
    n: int

    def __post_init__(self) -> None:
        if not self.n % 2:
            raise TypeError("n must be odd")


def test_validators_of_the_class_refuse() -> None:
    detail = refused(read_typed, event(b'{"n":-1}'), Positive, status=422)

    assert detail.startswith(r"data: n must not be negative\n!!!")
    assert "'m' must be > 0: 0" in refused(
        read_typed, event(b'{"n":1,"m":0}'), Positive, status=422
    )
    assert refused(read_typed, event(b'{"n":1}'), Even, status=422) == "data: n must be even"
    assert refused(read_typed, event(b'{"n":2}'), Odd, status=422) == "data: n must be odd"
    assert read_typed(event(b'{"n":2}'), Even) == Even(2)


def test_validators_of_inner_classes_say_where() -> None:
    detail = refused(read_typed, event(b'[{"n":2},{"n":1}]'), list[Even], status=422)

    assert detail == "data[1]: n must be even"


def test_bytes_of_no_declared_type_are_read_as_json_for_a_class() -> None:
    # As the Python SDK sends them in binary mode.
    line = read_typed(binary({}, b'{"sku": "x"}'), AttrsLine)
    assert line == AttrsLine("x")
    assert "not valid JSON" in refused(read_typed, binary({}, b"\xff"), AttrsLine, status=400)


@pytest.mark.parametrize(
    ("envelope", "detail"),
    [
        (structured(BASE), "expected a JSON object for io.cloudevents.test, but it is missing"),
        (
            binary({"content-type": b"text/plain"}, b"x"),
            "expected a JSON object for io.cloudevents.test, but it is not JSON",
        ),
    ],
)
def test_data_that_is_missing_or_no_json_does_not_fit(envelope: Envelope, detail: str) -> None:
    assert refused(read_typed, envelope, AttrsLine, status=422) == f"data: {detail}"


def test_a_long_type_makes_no_long_refusal() -> None:
    envelope = structured({**BASE, "type": "é" * 100_000})

    assert refused(read_typed, envelope, AttrsLine, status=422)


@attrs.frozen
class Anything:
    value: Any


@given(json_values)
def test_arbitrary_data_raises_nothing_but_refusals(value: Any) -> None:
    envelope = structured({**BASE, "data": value})
    for cls in (AttrsOrder, DataOrder, StructOrder, Everything):
        why_refused(read_typed, envelope, cls)


@pytest.mark.parametrize("depth", [*range(900, 1000), 100_000])
def test_data_nested_too_deeply_is_refused(depth: int) -> None:
    # It can be refused here and not where the event is read: we are deeper in calls.
    raw = b'{"value":' + b"[" * depth + b"]" * depth + b"}"
    envelope = Envelope(id="1", source="/", type="t", data={}, raw=raw)
    refusal = why_refused(read_typed, envelope, Anything)

    assert refusal == "data is not valid JSON: nested too deeply" or (
        refusal is None and depth < 100_000
    )
