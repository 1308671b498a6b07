"""Measure txevents and its peers in one run, and print a table of ratios: `make bench`."""

from __future__ import annotations

import argparse

from benchmarks import http, inprocess, linker, tcp
from benchmarks.runner import OpenSuite, run, table

SUITES: dict[str, OpenSuite] = {
    "notify": inprocess.notify,
    "emit": inprocess.emit,
    "linker": linker.suite,
    "http": http.suite,
    "tcp": tcp.suite,
}


def main() -> None:
    """Run the benchmarks that the command line names, all if none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: less exact")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SUITES]:
        parser.error(f"there is no benchmark {unknown[0]!r}, only {', '.join(SUITES)}")
    lines: list[tuple[str, ...]] = []
    for name, open_suite in SUITES.items():
        if not options.names or name in options.names:
            with open_suite(options.quick) as suite:
                lines += run(suite, name)
    print(table(lines))


if __name__ == "__main__":
    main()
