"""Finds the faces of pictures and says what each appears to be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facestream.errors import CatalogueError, ImageError, ModelError
from facestream_models.alignment import Chips, cut_chips
from facestream_models.attributes import Classifier
from facestream_models.catalogue import Catalogue, load_catalogue
from facestream_models.engine import AUTO, open_session, require_engine
from facestream_models.faces import Attribute, Faces
from facestream_models.model import DETECTOR, Model
from facestream_models.stages import Stages
from facestream_models.store import WeightsStore
from facestream_models.yunet import OUTPUTS, YuNet

Image = NDArray[np.uint8]
Choose = Callable[[Faces], NDArray[np.bool_]]


class Analyser:
    """Faces of pictures, with the attributes asked for.

        analyser = Analyser()
        faces = analyser(cv2.imread("photo.jpg"))
        print(faces.boxes, faces.attributes["gender"].labels)

    attributes: roles of the catalogue to answer for each face: `gender` (the *apparent* one: female, male or
    unknown), `age`, or your own model's.
    detector: a detector of the catalogue, its version may be left out.
    engine: one of engine.ENGINES, or `auto` for the fastest here whose answers agree with float32's; which
    one it is, and why, is told by the attributes `engine` and `engine_reason`.
    min_score: detection scores, 0..1, below which there is no face.
    min_face_px: a face whose box has a smaller side than this, in pixels of the picture given, is found but
    its labels are `unknown` and its age NaN.
    min_confidence: a label whose probability is below it is `unknown`.
    detect_side: for finding faces, pictures are scaled to this longer side, in pixels, and small ones to no
    more than twice their size; what is classified is cut from the picture as given.

    Loads the networks at once and computes on the calling thread; not to be shared between threads.
    Raises ModelMissing or WeightsCorrupt (run `facestream models pull`), CatalogueError, ModelError.
    """

    def __init__(
        self,
        attributes: Sequence[str] = ("gender",),
        *,
        detector: str = "yunet",
        engine: str = AUTO,
        min_score: float = 0.6,
        min_face_px: float = 24,
        min_confidence: float = 0.6,
        detect_side: int = 640,
        weights: WeightsStore | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        weights = weights or WeightsStore()
        catalogue = catalogue or load_catalogue()
        roles = (attributes,) if isinstance(attributes, str) else tuple(dict.fromkeys(attributes))
        found_by = _detector_called(detector, catalogue)
        models = {role: catalogue.for_role(role) for role in roles}
        choice = _choose(engine, [found_by, *models.values()], weights, catalogue)
        self.engine, self.engine_reason = engine, _ = choice
        self._min_face_px = min_face_px
        self._detector = _open_detector(found_by, weights, engine, min_score, detect_side)
        self._classifiers = {
            role: Classifier(model, open_session(weights.path(model), engine), min_confidence=min_confidence)
            for role, model in models.items()
        }
        self._models = {DETECTOR: found_by.ident, **{role: model.ident for role, model in models.items()}}

    @property
    def models(self) -> dict[str, str]:
        """Role to `name@` and the first eight digits of the weights' sha256: what answers, exactly."""
        return dict(self._models)

    def __call__(self, image: Image) -> Faces:
        """The faces of one BGR uint8 picture (height, width, 3), best first; ImageError for anything else."""
        return self.analyse([image])[0]

    def analyse(
        self,
        images: Sequence[Image],
        attributes: Sequence[Collection[str] | None] | None = None,
        stages: Stages | None = None,
        choose: Sequence[Choose | None] | None = None,
    ) -> list[Faces]:
        """The faces of each picture, all pictures' faces classified together.

        images: BGR uint8 (height, width, 3), of any sizes.
        attributes: for each picture the roles wanted, None for all; roles that are not loaded are left out.
        choose: for each picture which of the faces found shall be classified and given, None for all.
        stages: gets the seconds spent on `detect`, `align` and `classify`, over all pictures.
        """
        stages = Stages() if stages is None else stages
        pictures = [require_bgr(image) for image in images]
        wanted = [None] * len(pictures) if attributes is None else attributes
        if len(wanted) != len(pictures):
            raise ValueError(f"attributes for {len(wanted)} of {len(pictures)} pictures")
        with stages.measure("detect"):
            found = self._detector.detect_all(pictures)
        if choose is not None:
            found = [_chosen(*each) for each in zip(found, choose, strict=True)]
        answers: list[dict[str, Attribute]] = [{} for _ in pictures]
        for role, classifier in self._classifiers.items():
            asked = [index for index, roles in enumerate(wanted) if roles is None or role in roles]
            with stages.measure("align"):
                chips, certain = self._chips(classifier, [(pictures[index], found[index]) for index in asked])
            with stages.measure("classify"):
                answer = classifier.classify(chips, certain)
            for index, part in _parts(answer, [(index, len(found[index])) for index in asked]):
                answers[index][role] = part
        return [_finished(*each) for each in zip(pictures, found, answers, strict=True)]

    def warm(self) -> None:
        """Run once on a small picture, so that the first real one takes no longer than the next."""
        self(np.zeros((64, 64, 3), np.uint8))

    def _chips(
        self, classifier: Classifier, pictures: Sequence[tuple[Image, Faces]]
    ) -> tuple[Chips, NDArray[np.bool_]]:
        """The chips of all faces of all pictures, and which of them are fit to be labelled."""
        chips = [np.empty((0, classifier.height, classifier.width, 3), np.uint8)]
        certain = [np.empty(0, np.bool_)]
        for image, faces in pictures:
            cut, aligned = cut_chips(
                image, faces.landmarks, classifier.width, classifier.height, classifier.padding
            )
            chips.append(cut)
            certain.append(aligned & (faces.boxes[:, 2:].min(axis=1) >= self._min_face_px))
        return np.concatenate(chips), np.concatenate(certain)


def _chosen(faces: Faces, choose: Choose | None) -> Faces:
    return faces if choose is None else faces.only(choose(faces))


def require_bgr(image: object) -> Image:
    """`image` itself if it is a picture as this package takes them; ImageError saying what is wanted."""
    wanted = "a picture must be a BGR uint8 array of shape (height, width, 3)"
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{wanted}, not {_named(image)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"{wanted}, not {image.dtype} of shape {image.shape}{_remedy(image)}")
    if image.size == 0:
        raise ImageError(f"{wanted}; this one of shape {image.shape} is empty")
    return np.ascontiguousarray(image)


def _named(thing: object) -> str:
    if thing is None:
        return "None: could the file not be read?"
    kind = type(thing).__name__
    return f"{kind}: read files with cv2.imread(path)" if isinstance(thing, str | PurePath) else kind


def _remedy(image: NDArray[Any]) -> str:
    if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2:] == (1,)):
        return ": convert grey pictures with cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)"
    if image.dtype == np.uint8 and image.shape[2:] == (4,):
        return ": drop the alpha channel with cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)"
    return ""


def _detector_called(name: str, catalogue: Catalogue) -> Model:
    """The detector of exactly that name or, the version left out, the default one of that family."""
    detectors = [model for model in catalogue if model.role == DETECTOR]
    exact = [model for model in detectors if model.name == name]
    family = [model for model in detectors if model.name.startswith(f"{name}-")]
    chosen = exact or [model for model in family if model.default] or family
    if not chosen:
        there = ", ".join(model.name for model in detectors)
        raise CatalogueError(f"no detector is called {name!r}: there are {there}")
    return chosen[0]


def _choose(
    engine: str, models: Sequence[Model], weights: WeightsStore, catalogue: Catalogue
) -> tuple[str, str]:
    """The engine to open the networks with, and why."""
    if engine != AUTO:
        require_engine(engine)
        return engine, "asked for"
    from facestream_models.engine_choice import choose_engine

    choice = choose_engine(models, weights, catalogue)
    return choice.engine, choice.reason


def _open_detector(
    model: Model, weights: WeightsStore, engine: str, min_score: float, longest_side_px: int
) -> YuNet:
    if model.output.kind != "yunet":
        raise ModelError(f"{model.name} gives {model.output.kind}: no detector here reads that")
    session = open_session(weights.derived(model), engine, OUTPUTS, prefer_nhwc=True)
    return YuNet(session, min_score=min_score, longest_side_px=longest_side_px)


def _parts(answer: Attribute, counts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, Attribute]]:
    """An answer for the faces of many pictures, cut into (picture, answer for its faces)."""
    start = 0
    for picture, faces in counts:
        yield picture, answer.part(start, start + faces)
        start += faces


def _finished(image: Image, faces: Faces, answers: dict[str, Attribute]) -> Faces:
    """Only now are landmarks clipped: alignment needs them where they are."""
    height, width = image.shape[:2]
    inside = np.clip(np.nan_to_num(faces.landmarks), 0, np.array([width, height], np.float32))
    return Faces(faces.boxes, faces.scores, inside, answers)
