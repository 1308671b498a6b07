"""What users get from the wheel, the sdist and an editable install, in new environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
DESCRIPTION = "Take events from the network (HTTP, TCP) to Python handlers."
IGNORED = shutil.ignore_patterns(
    ".git", ".tox", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist"
)
# The environments under test see nothing of the one that runs the tests.
ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PYTHON", "COV", "TOX", "VIRTUAL_ENV"))
}


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that must succeed."""
    result = subprocess.run(
        command, cwd=cwd, env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, used and so with a plugin cache in it."""
    tree = tmp_path_factory.mktemp("source") / "txevents"
    shutil.copytree(ROOT, tree, ignore=IGNORED)
    (tree / "twisted/plugins/dropin.cache").write_bytes(b"stale")
    return tree


@pytest.fixture(scope="session")
def dist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", directory, source, cwd=directory)
    return directory


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (path,) = dist.glob("*.tar.gz")
    return path


class Installation:
    def __init__(self, directory: Path, *requirement: str | Path) -> None:
        self.directory = directory
        self.cwd = directory / "work"
        self.cwd.mkdir(parents=True)
        run(sys.executable, "-m", "venv", directory / "venv", cwd=self.cwd)
        self.run("python", "-m", "pip", "install", "--quiet", *requirement)

    def run(self, program: str, *arguments: str | Path) -> str:
        return run(self.directory / "venv/bin" / program, *arguments, cwd=self.cwd)


@pytest.fixture(scope="module", params=["wheel", "sdist", "editable"])
def installation(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    requirement: tuple[str | Path, ...]
    if request.param == "editable":
        (source / "twisted/plugins/dropin.cache").unlink(missing_ok=True)
        requirement = ("--editable", source)
    else:
        requirement = (request.getfixturevalue(request.param),)
    return Installation(tmp_path_factory.mktemp(request.param), *requirement)


class TestInstallation:
    # pytest keeps the order of these. The plugin cache is not there yet in the first one.
    def test_another_reactor_on_the_first_run(self, installation: Installation) -> None:
        assert "--http" in installation.run("twistd", "--reactor=asyncio", "events", "--help")

    def test_twistd_lists_the_plugin(self, installation: Installation) -> None:
        listing = " ".join(installation.run("twistd", "--help").split())
        assert f" events {DESCRIPTION}" in listing

    def test_options(self, installation: Installation) -> None:
        assert "--handlers" in installation.run("twistd", "events", "--help")

    def test_import_leaves_the_reactor_alone(self, installation: Installation) -> None:
        code = "import sys, txevents; print('twisted.internet.reactor' in sys.modules)"
        assert installation.run("python", "-c", code) == "False\n"


@pytest.mark.parametrize("package", ["twisted", "twisted/plugins"])
def test_no_init_hides_twisted_or_the_plugin(package: str) -> None:
    assert not (ROOT / package / "__init__.py").exists()


def test_wheel_content(wheel: Path, source: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "txevents").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected | {"twisted/plugins/txevents_plugin.py", "pytest_txevents.py"}
    assert "txevents/py.typed" in names


def test_sdist_content(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        paths = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()]
    names = {str(path) for path in paths}
    assert {"pyproject.toml", "setup.py", "tox.ini", "Makefile", "LICENSE"} <= names
    assert "tests/packaging/test_plugin.py" in names
    assert {"tests", "docs", "examples", "benchmarks", "newsfragments"} <= {
        path.parts[0] for path in paths if len(path.parts) > 1
    }
    assert not [path for path in paths if path.name == "dropin.cache" or path.suffix == ".pyc"]
