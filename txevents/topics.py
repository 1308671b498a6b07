"""Topics, the dotted names of events, and patterns over them.

A pattern is a topic in which a word may be `*` (exactly one word) or `#` (zero or more words), as
in AMQP 0-9-1 topic exchanges.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from txevents.errors import InvalidTopic

_ANY_WORDS = r"(?:\.[^.]*)*"


def check_topic(topic: str) -> str:
    """Return `topic`, or raise `InvalidTopic` if it is empty or has blanks at its ends."""
    if not isinstance(topic, str):
        raise InvalidTopic(f"a topic is a string, not {topic!r}")
    if not topic:
        raise InvalidTopic("a topic must not be empty")
    if topic != topic.strip():
        raise InvalidTopic(f"topic {topic!r} begins or ends with white space")
    return topic


def generality(topic: str) -> int:
    """Rank a pattern by how much it takes in: 0 with `#`, 1 with `*`, 2 for a topic as it is."""
    words = topic.split(".")
    if "#" in words:
        return 0
    return 1 if "*" in words else 2


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return a predicate that tells whether a topic matches `pattern`.

    The predicate takes time linear in the length of the topic for any pattern, since topics come
    from the network: between two `#` the earliest match of the words is the only one tried.
    """
    runs: list[str] = [""]
    for word in pattern.split("."):
        if word == "#":
            runs.append("")
        else:
            runs[-1] += r"\.[^.]*" if word == "*" else rf"\.{re.escape(word)}"
    first, *rest = runs
    middle = "".join(rf"(?>{_ANY_WORDS}?{run}(?![^.]))" for run in rest[:-1] if run)
    last = f"{_ANY_WORDS}{rest[-1]}" if rest else ""
    match = re.compile(f"{first}{middle}{last}", re.DOTALL).fullmatch
    return lambda topic: match(f".{topic}") is not None
