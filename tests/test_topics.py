import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from txevents import EventLinker, InvalidTopic

words = st.sampled_from(["a", "b", "ab", "", "a+", "\n"])
topics = st.lists(words, min_size=1, max_size=8).map(".".join)
patterns = st.lists(words | st.sampled_from(["*", "#"]), min_size=1, max_size=8).map(".".join)


def heard(pattern: str, topic: str) -> bool:
    linker = EventLinker()
    linker.subscribe(print, pattern)
    return bool(linker.subscriptions_for(topic))


def naively_matches(pattern: list[str], topic: list[str]) -> bool:
    if not pattern:
        return not topic
    first, *rest = pattern
    if first == "#":
        return naively_matches(rest, topic) or (bool(topic) and naively_matches(pattern, topic[1:]))
    return bool(topic) and first in {"*", topic[0]} and naively_matches(rest, topic[1:])


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("orders.placed", "orders.placed"),
        ("orders.*", "orders.placed"),
        ("*.placed", "orders.placed"),
        ("*.*", "orders.placed"),
        ("#", "orders"),
        ("#", "orders.placed.today"),
        ("orders.#", "orders"),
        ("orders.#", "orders.placed.today"),
        ("#.placed", "placed"),
        ("#.placed", "orders.new.placed"),
        ("orders.#.today", "orders.today"),
        ("orders.#.today", "orders.today.today"),
        ("#.a.#.b.#", "x.a.x.b.x"),
        ("#.#", "a"),
        ("*.#", "a"),
        ("#.*", "a.b"),
        ("orders.*", "orders."),
        ("orders.*", "orders.two\nlines"),
    ],
)
def test_a_pattern_hears_the_topics_it_matches(pattern: str, topic: str) -> None:
    assert heard(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("orders.placed", "orders"),
        ("orders.placed", "orders.placed.today"),
        ("orders.placed", "Orders.Placed"),
        ("orders.*", "orders"),
        ("orders.*", "orders.placed.today"),
        ("*", "orders.placed"),
        ("*.#", ""),
        ("orders.#", "ordersplaced"),
        ("orders.#", "orders-placed"),
        ("#.placed", "orders.misplaced"),
        ("#.a.b.#", "a.x.b"),
        ("#.a.#.b", "b.a"),
        ("#.*.*", "a"),
        ("a+", "aa"),
        ("a.b", "axb"),
        ("#.a.b", "a.bc"),
        ("#.a.#", "ab"),
    ],
)
def test_a_pattern_does_not_hear_other_topics(pattern: str, topic: str) -> None:
    assert topic == "" or not heard(pattern, topic)


@settings(deadline=None)
@given(pattern=patterns, topic=topics)
@example(pattern="#.a.#.a.b.#.b", topic="a.a.a.b.b")
@example(pattern="#.*.a.#.*", topic="a.a")
def test_matching_agrees_with_a_naive_matcher(pattern: str, topic: str) -> None:
    valid = all(text and text == text.strip() for text in (pattern, topic))
    if valid:
        assert heard(pattern, topic) == naively_matches(pattern.split("."), topic.split("."))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("#.a.#.a.#.a.#.b", False),
        ("#.a.a.#.a.a.#.a.b", False),
        ("*.#.*.#.*.#.*.#.b", False),
        ("#.#.#.#.#.#.#.#.b", False),
        ("#.a.*.a.*.a.#.a.*.b.#", False),
        ("#.a.#.a.#.a.#", True),
    ],
)
def test_a_topic_of_fifty_thousand_words_is_matched_in_linear_time(
    pattern: str, matches: bool
) -> None:
    # With backtracking over each `#` this would take longer than anyone waits.
    assert heard(pattern, ".".join(["a"] * 50_000)) is matches


@pytest.mark.parametrize("topic", ["", " orders", "orders ", "\torders", "orders\n"])
def test_an_empty_topic_and_one_with_blanks_around_it_are_refused(topic: str) -> None:
    with pytest.raises(InvalidTopic, match="topic"):
        EventLinker().on(topic)


def test_the_refusal_of_a_topic_shows_it() -> None:
    with pytest.raises(ValueError, match=r"topic ' orders' begins or ends with white space"):
        EventLinker().on(" orders")
