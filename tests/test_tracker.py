"""Tracks: who is one person, who is nobody, and what is said of whom; pure, without a broker."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.bus.following import Heard
from facestream.contract import ResultMap, TrackMap, pack_track, unpack_track
from facestream_tracker.assignment import UNPAIRED, assign
from facestream_tracker.camera import MAX_SNAPSHOT_BYTES, Camera
from facestream_tracker.observation import MAX_FACES, observe
from facestream_tracker.partition import Partition
from facestream_tracker.track import MAX_PATH
from facestream_tracker.tracker import MAX_TRACKS, Tracker
from support.people import BEGAN_US, HEIGHT, WIDTH, face, result

bounded = settings(max_examples=60, deadline=None)


def people(results: Iterable[ResultMap]) -> list[TrackMap]:
    """The closed tracks of one camera's results."""
    return [track for track in events(results) if track["event"] == "closed"]


def events(results: Iterable[ResultMap]) -> list[TrackMap]:
    camera = Camera("lobby")
    for each in results:
        camera.take(each)
    camera.finish()
    return camera.take_said().tracks


def walk(
    frames: int, fps: float = 10.0, *, start: float = 100.0, per_second: float = 80.0
) -> list[ResultMap]:
    """Somebody walks from left to right."""
    return [result(n, [face(start + per_second * n / fps, 250)], fps=fps) for n in range(frames)]


# Who is one person


def test_somebody_who_stays_is_one_person() -> None:
    [track] = people(result(n, [face(300 + n % 3, 200)]) for n in range(100))
    assert track["observations"] == 100
    assert track["last_seen_us"] - track["first_seen_us"] == 9_900_000
    assert track["track"] == "1.0.0"


@pytest.mark.parametrize(("fps", "per_second"), [(30, 400), (10, 400), (5, 300), (1, 120)])
def test_somebody_who_walks_is_one_person(fps: float, per_second: float) -> None:
    assert len(people(walk(int(2 * fps) + 2, fps, per_second=per_second))) == 1


def test_two_who_pass_each_other_are_not_confused() -> None:
    """They meet in the middle, one a little above the other, and go on as they went."""
    crossing = (
        [face(100 + 40 * n, 220, gender="female"), face(900 - 40 * n, 280, gender="male")] for n in range(20)
    )
    tracks = people(result(n, faces) for n, faces in enumerate(crossing))
    assert sorted(track["gender"]["label"] for track in tracks) == ["female", "male"]
    assert all(track["gender"]["score"] == 1 for track in tracks)


def test_who_is_not_found_for_a_moment_is_the_same_person() -> None:
    """A head that turns away for a second and a half."""
    seen = [n for n in range(60) if not 20 <= n < 35]
    [track] = people(result(n, [face(300, 200)] if n in seen else []) for n in range(60))
    assert track["observations"] == 45


def test_who_comes_back_later_is_counted_again() -> None:
    tracks = people(result(n, [face(300, 200)] if n < 20 or n >= 60 else []) for n in range(80))
    assert len(tracks) == 2


def test_frames_that_never_came_are_no_absence() -> None:
    """Every second frame was dropped, and once five seconds of them."""
    kept = [*range(0, 40, 2), *range(90, 120, 2)]
    assert len(people(result(n, [face(300, 200)]) for n in kept)) == 1


def test_another_epoch_closes_all() -> None:
    first = [result(n, [face(300, 200)]) for n in range(10)]
    second = [result(n, [face(300, 200)], epoch=2, seconds=1 + n / 10) for n in range(10)]
    assert [track["epoch"] for track in people(first + second)] == [1, 2]


def test_an_epoch_from_the_future_does_not_blind_a_camera_for_ever() -> None:
    """A forged result, or a clock that was set right: the real epoch goes on when the other is silent."""
    camera = Camera("lobby")
    camera.take(result(0, [], epoch=2**53), 1_000)
    for n in range(300):
        camera.take(result(n, [face(300, 200)]), 1_000 + 100 * n)
    camera.finish()
    [track] = [track for track in camera.said.tracks if track["event"] == "closed"]
    assert track["observations"] == 200
    assert camera.sums["ignored"] == 100


# Who is nobody


def test_a_flicker_is_nobody() -> None:
    """A false detection in two frames, and in single ones now and then."""
    assert people(result(n, [face(300, 200)] if n in (3, 4, 30, 50, 70) else []) for n in range(100)) == []


def test_a_face_that_is_found_twice_is_one_person() -> None:
    double = [face(300, 200, 80), face(308, 206, 88, score=0.7)]
    assert len(people(result(n, double if n % 2 else double[:1]) for n in range(50))) == 1


def test_what_the_detector_doubts_begins_no_track_but_goes_on_with_one() -> None:
    assert people(result(n, [face(300, 200, score=0.65)]) for n in range(50)) == []
    [track] = people(result(n, [face(300, 200, score=0.9 if n < 5 else 0.65)]) for n in range(50))
    assert track["observations"] == 50


# What is said of whom


def test_good_looks_count_more_than_many_poor_ones() -> None:
    """In profile the network says male of her; from the front it knows better."""
    profile, front = (
        face(300, 200, gender="male", label_score=0.8, nose=0.05),
        face(300, 200, gender="female"),
    )
    [track] = people(result(n, [front if n % 3 == 0 else profile]) for n in range(60))
    assert track["gender"]["label"] == "female"
    assert track["gender"]["looks"] == 60


def test_looks_that_disagree_are_unknown() -> None:
    [track] = people(result(n, [face(300, 200, gender=("female", "male")[n % 2])]) for n in range(60))
    assert track["gender"]["label"] == "unknown"


def test_faces_that_are_too_small_stay_unknown() -> None:
    [track] = people(result(n, [face(300, 200, 18, gender="unknown", label_score=0.5)]) for n in range(60))
    assert track["gender"]["label"] == "unknown"


def test_age_is_a_mean_with_its_spread() -> None:
    [track] = people(result(n, [face(300, 200, years=30 + 4 * (n % 2))]) for n in range(60))
    assert track["age"] == {"years": 32.0, "spread": 2.0, "looks": 60}


def test_without_attributes_nothing_is_said_of_them() -> None:
    [track] = people(result(n, [face(300, 200, gender=None)]) for n in range(20))
    assert not {"gender", "age"} & track.keys()


def test_the_best_look_is_the_largest_frontal_one() -> None:
    looks = [face(300, 200, 60 if n != 7 else 70, nose=0.5 if n in (7, 9) else 0.2) for n in range(20)]
    [track] = people(result(n, [look]) for n, look in enumerate(looks))
    assert track["best"]["seq"] == 7
    assert track["best"]["box"] == [0.265, 0.33, 0.07, 0.14]


def test_events_of_a_track_are_numbered_and_of_the_contract() -> None:
    told = events(result(n, [face(300, 200)]) for n in range(100))
    assert [track["event"] for track in told] == ["opened", *["updated"] * 4, "closed"]
    assert [track["number"] for track in told] == list(range(6))
    assert all(unpack_track(pack_track(track)) == track for track in told)
    assert "path" in told[-1]
    assert not any("path" in track for track in told[:-1])


def test_a_long_path_keeps_its_ends_and_its_bound() -> None:
    [track] = people(result(n, [face(300 + n / 100, 200)]) for n in range(5000))
    path = track["path"]
    assert len(path) <= MAX_PATH
    assert (path[0][0], path[-1][0]) == (track["first_seen_us"], track["last_seen_us"])
    steps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(path)]
    assert min(steps[:-1]) > 0
    assert max(steps) <= 3 * sorted(steps)[len(steps) // 2]


# Order and late results


@bounded
@given(st.randoms(use_true_random=False), st.sampled_from([1.0, 5.0, 25.0]))
def test_results_in_any_order_within_the_window_make_the_same_tracks(
    shuffle: random.Random, fps: float
) -> None:
    """Workers finish in any order; some frames never come."""
    straight = [
        result(n, [face(100 + 60 * n / fps, 150), face(700, 300, gender="male")], fps=fps)
        for n in range(int(8 * fps))
        if n % 7
    ]
    # Each is late by less than what the tracker waits: a second of capture time.
    jumbled = sorted(straight, key=lambda each: each["captured_at_us"] + shuffle.uniform(0, 450_000))
    assert events(jumbled) == events(straight)


@bounded
@given(st.lists(st.integers(0, 59), max_size=40))
def test_a_result_that_comes_again_changes_nothing(again: list[int]) -> None:
    straight = walk(60)
    repeated = [*straight]
    for seq in sorted(again, reverse=True):
        repeated.insert(seq + 1, straight[seq])
    assert events(repeated) == events(straight)


def test_a_result_that_comes_much_later_counts_for_the_track_that_was_there() -> None:
    """A worker died with it, and another did it seconds later."""
    straight = [result(n, [face(300, 200)]) for n in range(100)]
    late = straight.pop(30)
    [track] = people([*straight[:80], late, late, *straight[80:]])
    assert track["observations"] == 100


def test_a_late_result_begins_nothing() -> None:
    straight = [result(n, []) for n in range(100)]
    late = result(30, [face(300, 200)])
    del straight[30]
    assert people([*straight, late]) == []


# Properties


spots = st.tuples(st.floats(50, 950), st.floats(50, 450), st.floats(20, 200))
crowds = st.lists(st.lists(spots, max_size=6), min_size=1, max_size=25)


@bounded
@given(crowds)
def test_every_face_is_in_at_most_one_track(crowd: list[list[tuple[float, float, float]]]) -> None:
    tracker = Tracker()
    begun: set[str] = set()
    for seq, faces in enumerate(crowd):
        frame = observe(result(seq, [face(*spot) for spot in faces]))
        before = {track.id: track.observations for track in tracker}
        tracker.step(frame)
        grown = [track for track in tracker if track.observations > before.get(track.id, 0)]
        assert len(grown) <= len(frame.faces)
        assert len({(track.x, track.y, track.width) for track in grown}) == len(grown)
        new = {track.id for track in tracker} - before.keys()
        assert not new & begun
        begun |= new
        assert len({track.id for track in tracker}) == len(tracker.tracks)


@bounded
@given(crowds)
def test_a_snapshot_between_any_two_results_changes_nothing(
    crowd: list[list[tuple[float, float, float]]],
) -> None:
    results = [result(2 * n, [face(*spot) for spot in faces]) for n, faces in enumerate(crowd)]
    camera = Camera("lobby")
    said: list[TrackMap] = []
    for each in results:
        camera.take(each)
        said += camera.take_said().tracks
        restored = Camera.unpack("lobby", 1, (), camera.pack())
        assert restored is not None
        camera = restored
    camera.finish()
    assert said + camera.take_said().tracks == events(results)


@pytest.mark.parametrize(
    "packed", [b"", b"\x90", b"\xc1", b"\x98\x01\x01\x01\x01\x01\x01\x01\x01", b"\x00" * 99]
)
def test_what_is_no_snapshot_is_none(packed: bytes) -> None:
    assert Camera.unpack("lobby", 1, (), packed) is None


@bounded
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 4)), st.floats(0, UNPAIRED - 0.01), max_size=16
    )
)
def test_pairs_are_the_best_there_are(costs: dict[tuple[int, int], float]) -> None:
    """Held against every way there is to pair five with five."""
    pairs = assign(costs)
    assert set(pairs) <= costs.keys()
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    best = max(
        sum(UNPAIRED - costs[pair] for pair in enumerate(order) if pair in costs)
        for order in itertools.permutations(range(5))
    )
    assert sum(UNPAIRED - costs[pair] for pair in pairs) == pytest.approx(best)


# Hostile results


def test_thousands_of_faces_in_a_frame_are_bounded() -> None:
    shuffle = random.Random(5)
    camera = Camera("lobby")
    for seq in range(6):
        spots = [(shuffle.uniform(10, 990), shuffle.uniform(10, 490)) for _ in range(3000)]
        camera.take(result(2 * seq, [face(x, y, 9) for x, y in spots]))
    assert all(len(frame.faces) <= MAX_FACES for frame in camera.order.waiting.values())
    camera.pass_time(10**9)
    assert len(camera.tracker.tracks) <= MAX_TRACKS
    assert len(camera.pack()) < MAX_SNAPSHOT_BYTES


@pytest.mark.parametrize("box", [[1e300, 0, 10, 10], [0, 0, 1e300, 1e300], [-900, 5, 9, 9], [5, 5, 0, 0]])
def test_boxes_that_cannot_be_are_left_out(box: list[float]) -> None:
    strange = face(300, 200)
    strange["box"] = box
    strange["landmarks"] = [[1e308, -1e308]] * 5
    assert people(result(n, [strange, face(300, 200)]) for n in range(10))[0]["observations"] == 10


@bounded
@given(st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 2**53), st.integers(0, 3)), max_size=60))
def test_absurd_numbers_and_times_are_bounded(frames: Sequence[tuple[int, int, int]]) -> None:
    camera = Camera("lobby")
    for seq, at_us, epoch in frames:
        each = result(0, [face(300, 200)], epoch=epoch)
        each["seq"], each["captured_at_us"] = seq, at_us
        camera.take(each)
        assert len(camera.order.waiting) <= 65
        assert len(camera.order.gaps) <= 256
        assert len(camera.audience.minutes) <= 4
    camera.finish()
    assert not camera.tracker.tracks


def test_a_clock_that_was_wrong_and_is_set_right_goes_on_counting() -> None:
    """A day ahead for ten frames, then right: nobody is counted for a day, and nobody is lost."""
    wrong = [result(n, [face(300, 200)], seconds=86_400 + n / 10) for n in range(10)]
    right = [result(n, [face(300, 200)], seconds=n / 10) for n in range(10, 200)]
    tracks = people([*wrong, *right])
    assert [track["first_seen_us"] >= BEGAN_US + 86_400_000_000 for track in tracks] == [True, False]
    assert tracks[1]["last_seen_us"] - tracks[1]["first_seen_us"] == 18_900_000


def test_sizes_are_of_the_picture_as_captured() -> None:
    """Half the size and a part of it only: the same places."""
    small = result(0, [face(300, 200)])
    small["source_width"], small["source_height"] = 4 * WIDTH, 4 * HEIGHT
    small["region"] = [1000, 500, 2 * WIDTH, 2 * HEIGHT]
    [seen] = observe(small).faces
    assert (seen.x, seen.y, seen.width, seen.height) == (1600, 900, 160, 160)


def test_a_partition_forgets_cameras_with_their_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many cameras the one that was silent longest, and every one that is silent for a day."""
    monkeypatch.setattr("facestream_tracker.partition.MAX_CAMERAS", 2)
    partition = Partition(0)
    for turn, name in enumerate(["first", "second", "third"]):
        for n in range(10):
            seen = result(n, [face(300, 200)], camera=name)
            partition.take(Heard(0, f"{1000 * turn + n + 1}-{10 * turn + n + 1}", seen))
    assert sorted(partition.cameras) == ["second", "third"]
    assert [track["event"] for track in partition.take_said().tracks].count("closed") == 1
    assert partition.snapshots()["first"] == b""
    partition.saved()
    partition.pass_time(2 * 86_400_000)
    assert not partition.cameras
    assert partition.snapshots() == {"second": b"", "third": b""}
    assert [track["event"] for track in partition.take_said().tracks] == ["closed", "closed"]


def test_results_that_were_removed_unread_are_counted() -> None:
    partition = Partition(0)
    for entry in ("1000-7", "1000-8", "1001-12", "1002-13", "1003-0"):
        partition.take(Heard(0, entry, None))
    assert (partition.missed, partition.unreadable) == (3, 5)


@pytest.mark.parametrize(
    "plain",
    [["1", 0, 0, False, 0], [1, 0, 0, False, None], [1, 0, 0, 1, 0], [1, 0.5, 0, False, 0], [1], [1] * 8],
    ids=str,
)
def test_a_snapshot_with_something_else_for_a_number_is_none(plain: list[object]) -> None:
    version, *_, order, tracker, audience, sums = msgpack.unpackb(Camera("lobby").pack())
    packed = msgpack.packb([version, *plain, order, tracker, audience, sums])
    assert Camera.unpack("lobby", 1, (), packed) is None
