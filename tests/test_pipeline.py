"""From deliveries to outcomes with the real models: each ends once, and one bad frame harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facestream.bus.taker import Delivery, Outcome
from facestream.contract import (
    MAX_IMAGE_BYTES,
    DropReason,
    RejectMap,
    ResultMap,
    unpack_reject,
    unpack_result,
)
from facestream.errors import FrameRefused
from facestream_models import Analyser, Faces
from facestream_models.store import WeightsStore
from facestream_worker.accept import accept_header, decode_pixels
from facestream_worker.pipeline import Accepted, Pipeline, in_parts
from support.frames import BAD, Bad, Image, header_of, jpeg, many_scans, plain
from support.portraits import portrait, weights

MAX_ATTEMPTS = 5


@pytest.fixture(scope="module")
def store() -> WeightsStore:
    return weights()


@pytest.fixture(scope="module")
def pipeline(store: WeightsStore) -> Pipeline:
    return Pipeline(Analyser(("gender", "age"), weights=store), "tester", MAX_ATTEMPTS)


def delivery_of(image: Image, camera: str = "cam", attempts: int = 1, **header: Any) -> Delivery:
    data = jpeg(image)
    packed = header_of(image, camera=camera, **header).pack()
    return Delivery(camera.encode(), "1-1", attempts, packed, data, len(data), 0)


def bad_delivery(bad: Bad, camera: str = "cam") -> Delivery:
    """As the broker hands it over: a picture over the limit stays there."""
    image = bad.image()
    shown = image if len(image) <= MAX_IMAGE_BYTES else b""
    return Delivery(camera.encode(), "1-2", 1, bad.header(camera), shown, len(image), 0)


def results_of(outcomes: Sequence[Outcome]) -> list[ResultMap]:
    return [unpack_result(outcome.payload) for outcome in outcomes if outcome.reason is None]


def rejects_of(outcomes: Sequence[Outcome]) -> list[RejectMap]:
    return [unpack_reject(outcome.payload) for outcome in outcomes if outcome.reason is not None]


def test_a_frame_becomes_its_result(pipeline: Pipeline) -> None:
    woman = portrait("astronaut.png")
    settled = pipeline.settle([delivery_of(woman, epoch=9, seq=4, held_us=77, source="a.png")])
    [result] = results_of(settled.outcomes)
    assert (result["camera"], result["epoch"], result["seq"], result["source"]) == ("cam", 9, 4, "a.png")
    assert (result["worker"], set(result["models"])) == ("tester", {"detector", "gender", "age"})
    [face] = result["faces"]
    assert face["attributes"]["gender"]["label"] == "female"  # type: ignore[typeddict-item]
    assert set(settled.stages) == {"decode", "detect", "align", "classify"} == set(result["timings_ms"])
    assert settled.outcomes[0].held_us == 77
    assert [len(faces) for faces in settled.faces] == [1]


@pytest.mark.parametrize(
    ("wanted", "answered"),
    [(None, {"gender", "age"}), ((), set()), (("age",), {"age"}), (("gender", "hair"), {"gender"})],
)
def test_a_header_says_what_is_to_be_said_of_its_faces(
    pipeline: Pipeline, wanted: tuple[str, ...] | None, answered: set[str]
) -> None:
    settled = pipeline.settle([delivery_of(portrait("astronaut.png"), attributes=wanted)])
    [result] = results_of(settled.outcomes)
    assert [set(face["attributes"]) for face in result["faces"]] == [answered]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_frame_is_refused_for_its_reason(pipeline: Pipeline, bad: Bad) -> None:
    [outcome] = pipeline.settle([bad_delivery(bad)]).outcomes
    [reject] = rejects_of([outcome])
    assert outcome.reason is bad.reason
    assert reject["reason"] == bad.reason.value
    assert bad.words in reject["error"]
    assert (reject["camera"], reject["entry"], reject["worker"]) == ("cam", "1-2", "tester")


def test_bad_frames_harm_no_good_one_of_their_batch(pipeline: Pipeline) -> None:
    man = portrait("luispedro.jpg")
    batch = [bad_delivery(bad, f"bad-{number}") for number, bad in enumerate(BAD)]
    for place in (0, 5, len(batch)):
        batch.insert(place, delivery_of(man, f"good-{place}"))
    settled = pipeline.settle(batch)
    assert len(settled.outcomes) == len(batch)
    assert {id(outcome.delivery) for outcome in settled.outcomes} == {id(delivery) for delivery in batch}
    results = results_of(settled.outcomes)
    assert sorted(result["camera"] for result in results) == ["good-0", "good-17", "good-5"]
    assert {len(result["faces"]) for result in results} == {1}
    assert len(rejects_of(settled.outcomes)) == len(BAD)


def test_several_decoders_give_what_one_gives(store: WeightsStore, pipeline: Pipeline) -> None:
    """As for a GPU: in the order of the deliveries, and a broken picture harms no other."""
    several = Pipeline(Analyser(("gender", "age"), weights=store), "tester", MAX_ATTEMPTS, decoders=3)
    images = [portrait(name) for name in ("astronaut.png", "luispedro.jpg", "grace_hopper.jpg")]
    batch = [delivery_of(image, seq=number) for number, image in enumerate(images * 2)]
    broken = replace(batch[2], image=batch[2].image[:200], image_bytes=200)
    batch[2:3] = [broken]

    one, more = pipeline.settle(batch).outcomes, several.settle(batch).outcomes

    assert [each.reason for each in more] == [each.reason for each in one]
    assert [each["seq"] for each in results_of(more)] == [0, 1, 3, 4, 5]
    for mine, theirs in zip(results_of(more), results_of(one), strict=True):
        assert mine["faces"] == theirs["faces"]


def test_a_frame_that_was_tried_too_often_is_poison(pipeline: Pipeline) -> None:
    tried = [delivery_of(plain(), attempts=attempts, seq=3) for attempts in (5, 6)]
    outcomes = pipeline.settle(tried).outcomes
    [result], [reject] = results_of(outcomes), rejects_of(outcomes)
    assert result["seq"] == 3
    assert (reject["reason"], reject["attempts"], reject.get("seq")) == ("poison", 6, 3)
    assert "given up after 5 attempts" in reject["error"]


def test_poison_is_not_even_read() -> None:
    with pytest.raises(FrameRefused) as refused:
        accept_header(Delivery(b"cam", "1-1", 6, b"garbage", b"", 0, 0), MAX_ATTEMPTS)
    assert refused.value.reason is DropReason.POISON


class MarkedPicturesFail(Analyser):
    """The real analyser, upset by pictures whose first pixel is red: an injected fault."""

    def analyse(self, images: Any, *args: Any, **more: Any) -> list[Faces]:
        if any(image[0, 0, 2] > 200 and image[0, 0, 0] < 60 for image in images):
            raise RuntimeError("the network gave up\nat node 7")
        return super().analyse(images, *args, **more)


def test_a_frame_that_upsets_a_model_is_refused_alone(store: WeightsStore) -> None:
    pipeline = Pipeline(MarkedPicturesFail(("gender",), weights=store), "tester", MAX_ATTEMPTS)
    good, marked = portrait("luispedro.jpg"), portrait("luispedro.jpg")
    marked[:32, :32] = (0, 0, 255)
    batch = [delivery_of(picture, f"c{n}") for n, picture in enumerate([good, marked, good, good])]
    settled = pipeline.settle(batch)
    results, [reject] = results_of(settled.outcomes), rejects_of(settled.outcomes)
    assert [result["camera"] for result in results] == ["c0", "c2", "c3"]
    assert {len(result["faces"]) for result in results} == {1}
    assert all(result["timings_ms"]["detect"] > 0 for result in results)
    assert (reject["camera"], reject["reason"]) == ("c1", "model_error")
    assert reject["error"].startswith("RuntimeError: the network gave up")


def test_a_reject_is_bounded_whatever_is_in_it(pipeline: Pipeline) -> None:
    camera = bytes(range(256)) * 40
    delivery = Delivery(camera, "1-1", 1, b"\xc1", b"", 0, 0)
    [outcome] = pipeline.settle([delivery]).outcomes
    assert len(outcome.payload) < 2000
    assert unpack_reject(outcome.payload)["reason"] == "contract_error"


@pytest.mark.parametrize("shape", ["colour", "grey"])
def test_pixels_are_bgr_as_they_were_encoded(shape: str) -> None:
    image = portrait("luispedro.jpg")
    if shape == "grey":
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    pixels = decode_pixels(header_of(image), delivery_of(image))
    assert pixels.shape == image.shape
    assert np.abs(pixels.astype(int) - image).mean() < 3


def test_an_ordinary_number_of_scans_is_accepted() -> None:
    """What a progressive JPEG has, ten times over."""
    with pytest.raises(FrameRefused, match="scans"):
        decode_pixels(header_of(plain()), _raw(many_scans(64)))
    with pytest.raises(
        FrameRefused, match="a broken JPEG"
    ):  # its scans are counted, then found to be nonsense
        decode_pixels(header_of(plain()), _raw(many_scans(63)))


def _raw(image: bytes) -> Delivery:
    return Delivery(b"cam", "1-1", 1, b"", image, len(image), 0)


def test_what_is_decoded_at_once_is_bounded() -> None:
    sizes = [(100, 100), (200, 100), (300, 100), (10, 10), (10, 10)]
    accepted = [Accepted(_raw(b""), header_of(plain(*size), seq=n)) for n, size in enumerate(sizes)]
    parts = [[each.header.seq for each in part] for part in in_parts(accepted, 30_000)]
    assert parts == [[0, 1], [2], [3, 4]]
    assert list(in_parts([], 1)) == []
    assert [len(part) for part in in_parts(accepted, 1)] == [1] * 5
