"""The settings of ``twistd events``: each mistake is one line that names the option."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.testing import MemoryReactorClock

from txevents import EventLinker, default_linker
from txevents.config import ConfigError, Settings, load_linkers, one_line, parse_endpoint
from txevents.errors import TxEventsError


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def mistake(*handlers: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_linkers(handlers)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_mistake_is_a_value_error_of_ours() -> None:
    assert issubclass(ConfigError, TxEventsError)
    assert issubclass(ConfigError, ValueError)


class TestSettings:
    def test_there_must_be_something_to_listen_on(self) -> None:
        with pytest.raises(ConfigError, match="nothing to listen on: give --http or --tcp"):
            Settings(handlers=("app",)).check()

    @pytest.mark.parametrize("settings", [Settings(http=("tcp:1",)), Settings(tcp=("tcp:1",))])
    def test_one_place_is_enough(self, settings: Settings) -> None:
        settings.check()


class TestEndpoints:
    @pytest.mark.parametrize(
        ("description", "kind"),
        [
            ("tcp:0", TCP4ServerEndpoint),
            ("tcp:8080:interface=127.0.0.1", TCP4ServerEndpoint),
            ("unix:/tmp/x", UNIXServerEndpoint),
        ],
    )
    def test_a_description_is_that_of_twisted(self, description: str, kind: type) -> None:
        endpoint = parse_endpoint("--http", description, MemoryReactorClock())

        assert isinstance(endpoint, kind)

    @pytest.mark.parametrize(
        "description",
        [
            "",
            " ",
            ":",
            "8080",
            "tcp",
            "tcp:",
            "tcp:x",
            "tcp:80:nonsense=1",
            "nonsense:80",
            "http://localhost:80",
            "localhost:80",
            "ssl:443",
            "ssl:443:privateKey=/does/not/exist",
            "unix",
            "systemd:domain=INET",
        ],
    )
    def test_a_bad_one_is_a_mistake_that_names_the_option(self, description: str) -> None:
        with pytest.raises(ConfigError) as caught:
            parse_endpoint("--tcp", description, MemoryReactorClock())

        message = str(caught.value)
        assert message.startswith("--tcp ")
        assert "bad endpoint (" in message
        assert "tcp:8080:interface=127.0.0.1" in message
        assert len(message.splitlines()) == 1


class TestHandlers:
    def test_without_any_the_default_linker_is_the_only_one(self, directory: Path) -> None:
        assert load_linkers(()) == [default_linker]

    def test_a_module_of_the_working_directory_is_found(self, directory: Path) -> None:
        write(directory, "cfg_app.py", "from txevents import EventLinker\nlinker = EventLinker()")

        (linker,) = load_linkers(("cfg_app:linker",))

        assert linker is sys.modules["cfg_app"].linker
        assert sys.path.count(str(directory)) == 1
        load_linkers(("cfg_app:linker",))
        assert sys.path.count(str(directory)) == 1

    def test_a_module_in_a_package_is_found(self, directory: Path) -> None:
        write(directory, "cfg_pkg/__init__.py", "")
        write(directory, "cfg_pkg/app.py", "import txevents\nlinker = txevents.EventLinker()")

        (linker,) = load_linkers(("cfg_pkg.app:linker",))

        assert isinstance(linker, EventLinker)

    def test_without_a_linker_the_module_is_imported_for_the_default_one(
        self, directory: Path
    ) -> None:
        write(directory, "cfg_plain.py", "done = True")

        assert load_linkers(("cfg_plain",)) == [default_linker]
        assert sys.modules["cfg_plain"].done

    def test_each_linker_stands_there_once_in_the_order_given(self, directory: Path) -> None:
        write(
            directory,
            "cfg_two.py",
            "from txevents import EventLinker\na = EventLinker()\nb = EventLinker()\nc = a",
        )

        linkers = load_linkers(("cfg_two:b", "cfg_two:a", "cfg_two:c", "cfg_two"))

        module = sys.modules["cfg_two"]
        assert linkers == [module.b, module.a, default_linker]

    @pytest.mark.parametrize("name", ["", ":", ":linker", "app:", ".app", "..app:linker"])
    def test_what_names_no_module_is_a_mistake(self, directory: Path, name: str) -> None:
        assert mistake(name) == (
            f"--handlers {name}: must be MODULE or MODULE:LINKER, such as app or app:linker"
        )

    @pytest.mark.parametrize("name", ["cfg_missing", "cfg_missing.app:linker", "cfg app", "a..b"])
    def test_a_module_that_is_not_there_is_a_mistake(self, directory: Path, name: str) -> None:
        message = mistake(name)

        assert message.startswith(f"--handlers {name}: cannot be imported: ModuleNotFoundError: ")

    def test_an_exception_while_importing_is_told_with_its_place(self, directory: Path) -> None:
        write(directory, "cfg_raises.py", "\n\nraise RuntimeError('one\\ntwo')\n")

        assert mistake("cfg_raises:linker") == (
            "--handlers cfg_raises:linker: cannot be imported: "
            f"{directory / 'cfg_raises.py'}, line 3: RuntimeError: one two"
        )

    def test_the_place_is_that_of_what_the_module_imports(self, directory: Path) -> None:
        write(directory, "cfg_outer.py", "import cfg_inner\n")
        write(directory, "cfg_inner.py", "\nimport cfg_missing\n")

        message = mistake("cfg_outer")

        assert f"{directory / 'cfg_inner.py'}, line 2: ModuleNotFoundError: " in message

    def test_a_syntax_error_is_told_with_its_place(self, directory: Path) -> None:
        write(directory, "cfg_syntax.py", "x = 1\ndef f(:\n")

        message = mistake("cfg_syntax")

        assert "cannot be imported: SyntaxError: " in message
        assert "(cfg_syntax.py, line 2)" in message

    def test_a_module_that_exits_is_a_mistake_too(self, directory: Path) -> None:
        write(directory, "cfg_exits.py", "import sys\nsys.exit(0)\n")

        assert "line 2: SystemExit: 0" in mistake("cfg_exits")

    def test_an_interrupt_is_not_a_mistake(self, directory: Path) -> None:
        write(directory, "cfg_interrupted.py", "raise KeyboardInterrupt\n")

        with pytest.raises(KeyboardInterrupt):
            load_linkers(("cfg_interrupted",))

    def test_a_linker_that_is_not_there_is_a_mistake(self, directory: Path) -> None:
        write(directory, "cfg_none.py", "")

        assert mistake("cfg_none:linker") == (
            "--handlers cfg_none:linker: module cfg_none has no 'linker'"
        )

    def test_something_that_is_no_linker_is_a_mistake(self, directory: Path) -> None:
        write(directory, "cfg_other.py", "from txevents import EventLinker as linker\nn = 1")

        assert mistake("cfg_other:linker") == (
            "--handlers cfg_other:linker: linker must be an EventLinker, not type"
        )
        assert mistake("cfg_other:n").endswith("n must be an EventLinker, not int")


def test_an_exception_is_told_in_one_line() -> None:
    assert one_line(ValueError(" a\n\tb  c")) == "ValueError: a b c"
