"""Audience figures of results whose people are known: minutes, lines, lateness, and what is withheld."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.contract import AudienceMap, ResultMap, pack_audience, unpack_audience
from facestream.errors import UsageError
from facestream.lines import MAX_LINES, Line, read_line, read_lines
from facestream_tracker.audience import withheld
from facestream_tracker.camera import Camera, Said
from support.people import BEGAN_US, face, result

MINUTE_US = 60_000_000
DOOR = read_line("door: 0.5,0 0.5,1")


def told(results: Iterable[ResultMap], *lines: Line, least_group: int = 1) -> Said:
    camera = Camera("lobby", least_group, lines)
    for each in results:
        camera.take(each)
    camera.finish()
    return camera.take_said()


def final(results: Iterable[ResultMap], *lines: Line, least_group: int = 1) -> dict[int, AudienceMap]:
    """Minute since BEGAN_US → what was said for good."""
    minutes = told(results, *lines, least_group=least_group).minutes
    return {(each["minute_us"] - BEGAN_US) // MINUTE_US: each for each in minutes if each["final"]}


def stay(first: int, last: int, x: float = 300, **options: str) -> list[ResultMap]:
    """Five frames a second; somebody is there from the first second to the last."""
    return [
        result(n, [face(x, 200, **options)] if first <= n / 5 <= last else [], fps=5)  # type: ignore[arg-type]
        for n in range(5 * 200)
    ]


def test_who_is_there_over_two_minutes_is_seen_in_both_and_leaves_once() -> None:
    minutes = final(stay(10, 100))
    assert [minutes[n]["people"] for n in range(4)] == [1, 1, 0, 0]
    assert [minutes[n]["left"] for n in range(4)] == [0, 1, 0, 0]
    assert minutes[1]["present_s"] == {"median": 90.0, "p90": 90.0}
    assert minutes[0]["labels"] == {"female": 1, "male": 0, "unknown": 0}
    assert minutes[1]["left_labels"] == {"female": 1, "male": 0, "unknown": 0}
    assert minutes[0]["present_s"] is None


def test_who_came_just_before_the_minute_ended_is_counted_in_it_though_confirmed_after() -> None:
    assert final(stay(59, 62, gender="unknown"))[0]["labels"] == {"female": 0, "male": 0, "unknown": 1}


def test_a_minute_is_said_in_passing_and_for_good() -> None:
    minutes = told(stay(10, 100)).minutes
    first = [each for each in minutes if each["minute_us"] == BEGAN_US]
    assert [(each["revision"], each["final"]) for each in first] == [(0, False), (1, True)]
    assert all(unpack_audience(pack_audience(each)) == each for each in minutes)


def test_time_without_data_is_said_in_parts_of_five_seconds() -> None:
    kept = [each for each in stay(0, 200) if not 20 <= each["seq"] / 5 < 41]
    minutes = final(kept)
    assert minutes[0]["no_data"] == pytest.approx(4 / 12, abs=1e-4)
    assert minutes[1]["no_data"] == 0


def test_a_minute_without_any_frame_is_not_said() -> None:
    kept = [each for each in stay(0, 200) if not 60 <= each["seq"] / 5 < 120]
    assert set(final(kept)) == {0, 2, 3}


def test_a_late_result_corrects_its_minute_once() -> None:
    """Six seconds of frames come a minute and a half late: the final figures know of them."""
    straight = stay(0, 200)
    held = [each for each in straight if 20 <= each["seq"] / 5 < 26]
    rest = [each for each in straight if each not in held]
    at = next(n for n, each in enumerate(rest) if each["seq"] / 5 > 110)
    minutes = told([*rest[:at], *held, *rest[at:]]).minutes
    first = [each for each in minutes if each["minute_us"] == BEGAN_US]
    assert [each["no_data"] for each in first] == [pytest.approx(1 / 12, abs=1e-4), 0]
    assert len(first) == 2


def test_a_result_later_than_the_final_figures_changes_nothing() -> None:
    straight = stay(0, 200)
    held, rest = straight[20:60], straight[:20] + straight[60:]
    assert told([*rest, *held]).minutes[:2] == told(rest).minutes[:2]


def test_a_clock_that_goes_back_says_its_minutes_again_with_a_greater_revision() -> None:
    first = stay(0, 30)
    again = [result(1000 + n, [face(300, 200)], seconds=n / 5) for n in range(5 * 200)]
    minutes = [each for each in told([*first, *again]).minutes if each["minute_us"] == BEGAN_US]
    assert [each["revision"] for each in minutes] == [0, 1, 2, 3]


# Lines


def cross(*xs: float, y: float = 250) -> list[ResultMap]:
    """Somebody is at these places, half a second each, and goes from one to the next within two."""
    places: list[float] = []
    for before, after in itertools.pairwise(xs):
        places += [before] * 5 + [before + (after - before) * n / 20 for n in range(20)]
    places += [xs[-1]] * 10
    return [result(n, [face(x, y, 60)]) for n, x in enumerate(places)]


def passed(results: list[ResultMap], *lines: Line) -> dict[str, tuple[int | None, int | None]]:
    [minute] = final(results, *lines).values()
    return {name: (line["entries"], line["exits"]) for name, line in minute["lines"].items()}


def test_from_left_to_right_of_who_looks_along_the_line_is_an_entry() -> None:
    """The line goes down: on its left hand is the right side of the picture."""
    assert passed(cross(300, 700), DOOR) == {"door": (0, 1)}
    assert passed(cross(700, 300), DOOR) == {"door": (1, 0)}
    up = read_line("up: 0.5,1 0.5,0")
    assert passed(cross(300, 700), up) == {"up": (1, 0)}


def test_there_and_back_is_an_entry_and_an_exit() -> None:
    assert passed(cross(700, 300, 700), DOOR) == {"door": (1, 1)}


def test_who_nods_on_the_line_passes_it_once_at_most() -> None:
    assert passed(cross(480, 510, 490, 512, 488), DOOR) == {"door": (0, 0)}
    assert passed(cross(440, 510, 490, 560), DOOR) == {"door": (0, 1)}


def test_who_walks_past_the_end_of_a_line_does_not_cross_it() -> None:
    short = read_line("short: 0.5,0.8 0.5,1")
    assert passed(cross(300, 700), short) == {"short": (0, 0)}
    assert passed(cross(300, 700, y=450), short) == {"short": (0, 1)}


def test_crossings_are_said_of_the_track_too() -> None:
    closed = told(cross(700, 300, 700), DOOR).tracks[-1]
    assert [(each["line"], each["direction"]) for each in closed["crossings"]] == [
        ("door", "entry"),
        ("door", "exit"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("door", "a line is a name and two points"),
        ("door: 0,0", "a line is a name and two points"),
        ("Door!: 0,0 1,1", "is no line's name"),
        ("door: 0,0 1,1.5", "outside of the picture"),
        ("door: .5,.5 .5,.5", "its two points are one"),
        ("door: 0,0 1,nan", "a line is"),
        ("rtsp://u:ZQX@h/1: 0,0 1,1", "a line is"),
    ],
)
def test_what_is_no_line_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refusal:
        read_line(text)
    assert "ZQX" not in str(refusal.value)


def test_lines_have_names_of_their_own_and_are_few() -> None:
    with pytest.raises(UsageError, match="same name"):
        read_lines(["a: 0,0 1,1", "a: 1,0 0,1"])
    with pytest.raises(UsageError, match="at most 8"):
        read_lines([f"a{n}: 0,0 1,1" for n in range(MAX_LINES + 1)])
    [line] = read_lines(["door: .1,0.25 1,1"])
    assert read_line(line.to_text()) == line


# What is withheld


def minute(people: dict[str, int], left: dict[str, int], entries: int = 0) -> AudienceMap:
    return {
        "v": 1, "camera": "lobby", "minute_us": 0, "revision": 1, "final": True,
        "people": sum(people.values()), "labels": people, "left": sum(left.values()), "left_labels": left,
        "present_s": {"median": 1.0, "p90": 2.0}, "lines": {"door": {"entries": entries, "exits": 9}},
        "no_data": 0.0, "withheld": False,
    }  # fmt: skip


counts = st.fixed_dictionaries({name: st.integers(0, 9) for name in ("female", "male", "unknown")})


@settings(max_examples=200, deadline=None)
@given(counts, counts, st.integers(0, 9), st.integers(1, 6))
def test_no_figure_is_of_fewer_than_k(
    people: dict[str, int], left: dict[str, int], entries: int, least: int
) -> None:
    shown = withheld(minute(people, left, entries), least)
    numbers = [shown["people"], shown["left"], shown["lines"]["door"]["entries"]]
    for split in (shown["labels"], shown["left_labels"]):
        numbers += list((split or {}).values())
    assert all(number is None or number == 0 or number >= least for number in numbers)
    if shown["present_s"] is not None:
        assert sum(left.values()) == 0 or sum(left.values()) >= least
    assert shown["withheld"] == (shown["labels"] != people or None in numbers or shown["left_labels"] != left)


def test_without_a_least_group_all_is_said() -> None:
    whole = minute({"female": 1, "male": 0, "unknown": 0}, {"female": 1, "male": 0, "unknown": 0}, 1)
    assert withheld(whole, 1) == whole


def test_sums_hold_what_was_said_and_no_more() -> None:
    camera = Camera("lobby", 2, (DOOR,))
    for each in cross(700, 300):
        camera.take(each)
    camera.finish()
    assert camera.sums["entries:door"] == camera.sums["people:female"] == 0
    assert camera.said.minutes[-1]["withheld"]
    open_camera = Camera("lobby", 1, (DOOR,))
    for each in cross(700, 300):
        open_camera.take(each)
    open_camera.finish()
    assert (open_camera.sums["entries:door"], open_camera.sums["people:female"]) == (1, 1)
