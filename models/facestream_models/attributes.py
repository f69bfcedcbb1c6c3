"""Classifies aligned faces as the catalogue describes the network: labels, or an age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facestream.errors import ModelError
from facestream_models.faces import UNKNOWN, Attribute, Estimates, Floats, Labels
from facestream_models.session import Session

if TYPE_CHECKING:
    from facestream_models.alignment import Chips
    from facestream_models.model import Model

# Chips in one run of a network: 64 were no faster, and brought a process from 180 to 250 MB.
CHIPS_PER_RUN = 16
NEAR_YEARS = 5.0


class Classifier:
    """One attribute's network, fed with chips (n, height, width, 3) BGR uint8 of the model's own size.

    min_confidence: labels whose best probability is below it become `unknown`.
    Raises ModelError where the network does not take or give what the catalogue says.
    """

    def __init__(self, model: Model, session: Session, *, min_confidence: float = 0.0) -> None:
        if model.output.kind not in ("labels", "age-distribution"):
            raise ModelError(f"{model.name} gives {model.output.kind}: that is no answer about a face")
        if model.input.width is None or model.input.height is None or model.input.chip_padding is None:
            raise ModelError(f"{model.name} must say size and chip_padding in the catalogue")
        self.model = model
        self.width, self.height = model.input.width, model.input.height
        self.padding = model.input.chip_padding
        self._session = session
        self._min_confidence = min_confidence
        self._mean = np.array(model.input.mean, np.float32)
        self._scale = np.array(model.input.scale, np.float32)
        self._years = np.array(model.output.years, np.float32)
        self._classes = len(model.labels) or len(self._years)
        # A network that does not fit the catalogue is refused here, not at the first face.
        self.classify(np.zeros((1, self.height, self.width, 3), np.uint8), np.ones(1, np.bool_))

    def classify(self, chips: Chips, certain: NDArray[np.bool_]) -> Attribute:
        """The answer for each chip; where `certain` (n,) is false it is `unknown`, or NaN years."""
        probabilities = self._probabilities(chips)
        if self.model.output.kind == "labels":
            return self._labels(probabilities, certain)
        return self._estimates(probabilities, certain)

    def _labels(self, probabilities: Floats, certain: NDArray[np.bool_]) -> Labels:
        scores = probabilities.max(axis=1, initial=0.0)
        sure = certain & (scores >= self._min_confidence)
        names = self.model.labels
        best = probabilities.argmax(axis=1).tolist()
        labels = tuple(names[i] if known else UNKNOWN for i, known in zip(best, sure.tolist(), strict=True))
        return Labels(labels, scores)

    def _estimates(self, probabilities: Floats, certain: NDArray[np.bool_]) -> Estimates:
        expected = probabilities @ self._years
        near = np.abs(self._years - expected[:, None]) <= NEAR_YEARS
        scores = np.where(near, probabilities, 0).sum(axis=1, dtype=np.float32).clip(0, 1)
        # A network that answers nothing sensible has probabilities of 0, and so no age.
        known = certain & (probabilities.sum(axis=1) > 0)
        return Estimates(np.where(known, expected, np.nan).astype(np.float32), scores)

    def _probabilities(self, chips: Chips) -> Floats:
        """(n, classes), finite and between 0 and 1."""
        step = self._session.fixed_batch or CHIPS_PER_RUN
        runs = [self._run(chips[start : start + step]) for start in range(0, len(chips), step)]
        if not runs:
            return np.empty((0, self._classes), np.float32)
        return np.concatenate(runs)

    def _run(self, chips: Chips) -> Floats:
        batch = self._network_input(chips)
        missing = (self._session.fixed_batch or 0) - len(batch)
        if missing > 0:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
        output = np.asarray(self._session.run(batch)[0], np.float32)
        if output.size != len(batch) * self._classes:
            raise ModelError(
                f"{self.model.name} answers {len(batch)} faces with an array of shape {output.shape}, "
                f"but its catalogue entry names {self._classes} classes"
            )
        output = output.reshape(len(batch), self._classes)[: len(chips)]
        if self.model.output.activation == "softmax":
            output = _softmax(output)
        return np.nan_to_num(output, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 1)

    def _network_input(self, chips: Chips) -> Floats:
        pixels = chips[..., ::-1] if self.model.input.channels == "RGB" else chips
        batch = (pixels.astype(np.float32) - self._mean) * self._scale
        if self.model.input.layout == "NCHW":
            batch = batch.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(batch)


def _softmax(values: Floats) -> Floats:
    raised: Floats = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
