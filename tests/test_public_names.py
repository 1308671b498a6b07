"""What `from txevents import ...` promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

import txevents
from txevents import (
    Envelope,
    InvalidEvent,
    InvalidHandler,
    InvalidKey,
    InvalidTopic,
    LinkageError,
    TxEventsError,
    default_linker,
    on,
)

PROMISED = [
    "Envelope",
    "EventEmitter",
    "EventLinker",
    "Outcome",
    "ReactorEmitter",
    "Subscription",
    "TxEventsError",
    "current_envelope",
    "default_linker",
    "event",
    "not_",
    "on",
]


@pytest.mark.parametrize("name", PROMISED)
def test_each_promised_name_is_there(name: str) -> None:
    assert hasattr(txevents, name)
    assert name in txevents.__all__


def test_each_name_that_is_exported_exists() -> None:
    namespace: dict[str, object] = {}
    exec("from txevents import *", namespace)

    assert set(txevents.__all__) <= set(namespace)
    assert list(txevents.__all__) == sorted(txevents.__all__)


@pytest.mark.parametrize(
    ("exception", "builtin"),
    [
        (InvalidEvent, TypeError),
        (InvalidHandler, TypeError),
        (InvalidKey, TypeError),
        (InvalidTopic, ValueError),
        (LinkageError, ValueError),
    ],
)
def test_an_exception_is_what_a_caller_would_catch_anyway(
    exception: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(exception, TxEventsError)
    assert issubclass(exception, builtin)
    assert exception.__name__ in txevents.__all__


def test_each_exported_exception_has_the_base_class() -> None:
    exported = [getattr(txevents, name) for name in txevents.__all__]
    exceptions = [e for e in exported if isinstance(e, type) and issubclass(e, BaseException)]

    assert len(exceptions) == 13
    assert all(issubclass(exception, TxEventsError) for exception in exceptions)


def test_importing_it_installs_no_reactor() -> None:
    program = "import sys, txevents; print('twisted.internet.reactor' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_making_an_emitter_installs_no_reactor() -> None:
    program = (
        "import sys, txevents; txevents.ReactorEmitter();"
        "print('twisted.internet.reactor' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_on_registers_with_the_default_linker() -> None:
    @on("public.names", name="default")
    def hear() -> None:
        pass

    [subscription] = default_linker.subscriptions_for("public.names")
    assert (subscription.name, subscription.handler) == ("default", hear)
    subscription.cancel()


def test_the_version_is_one() -> None:
    assert txevents.__version__.split(".")[0].isdigit()


def test_the_documented_fields_of_an_envelope_are_there() -> None:
    assert set(Envelope.__struct_fields__) >= {
        "id",
        "source",
        "type",
        "specversion",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "extensions",
        "data",
    }
