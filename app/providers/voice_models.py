"""The speech models on this machine: list, install, verify. No half-installed model is ever visible."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.providers.model_archives import Advance, unpack
from app.providers.model_manifest import MANIFEST, Model, ModelFault, load_manifest
from app.providers.model_sources import (
    from_address,
    from_folder,
    from_packages,
    require_archive,
    sha256_of,
)
from app.providers.speech_engines import model_problem

TRUSTED = "trusted.json"  # what was downloaded on first use, where no checksum was known before
_BLOCK = 1 << 20


def models_dir_default() -> Path:
    """ANXIN_VOICE_MODELS, else the repository's voice_models/."""
    return Path(os.environ.get("ANXIN_VOICE_MODELS") or MANIFEST.parent)


@dataclass(frozen=True, slots=True)
class Report:
    """`state`: installed (present, for a list), verified, missing or faulty; `faults` say what is wrong."""

    name: str
    state: str
    path: Path
    faults: tuple[str, ...] = ()


class VoiceModels:
    """The models of one manifest in one folder. Every method raises ModelFault in words for an operator."""

    def __init__(self, models_dir: Path, manifest: Path = MANIFEST) -> None:
        self.models_dir = models_dir
        self.models = load_manifest(manifest)

    def model(self, name: str) -> Model:
        if name not in self.models:
            raise ModelFault(f"no model {name!r} in the manifest; there are: {', '.join(self.models)}")
        return self.models[name]

    def state(self, name: str) -> Report:
        """Present or not, without reading the files through."""
        model, path = self.model(name), self.models_dir / name
        problem = model_problem(model.engine, path)
        if not path.is_dir():
            return Report(name, "missing", path)
        return Report(name, "faulty" if problem else "installed", path, (problem,) if problem else ())

    def verify(self, name: str, advance: Advance | None = None) -> Report:
        """Hash every file against the manifest, or against what was recorded at installation."""
        report = self.state(name)
        if report.state != "installed":
            return report
        wanted = self._checksums(self.model(name))
        faults = [
            fault
            for path, sha256 in wanted.items()
            if (fault := _file_fault(report.path, path, sha256, advance))
        ]
        if not wanted:
            faults = [f"no checksum is known and none is recorded in {TRUSTED}: install it again"]
        return Report(name, "faulty" if faults else "verified", report.path, tuple(faults))

    def size_to_fetch(self, name: str) -> int:
        """Bytes an installation from the manifest's source brings, 0 when unknown."""
        source = self.model(name).source
        return sum(package.bytes for package in source.packages) or source.bytes

    def install(
        self, name: str, source: str | None, sha256: str | None, advance: Advance, *, again: bool = False
    ) -> Report:
        """Install one model and return it verified. Already verified: nothing happens, unless `again`.

        `source`: a folder, an archive or an http(s) address instead of the manifest's own; `sha256`: what
        the archive must hash to. All work happens in a folder beside the target, renamed at the end.
        """
        model = self.model(name)
        self.models_dir.mkdir(parents=True, exist_ok=True)
        with self._locked(), self._staging(name) as staging:
            present = self.verify(name)
            if present.state == "verified" and not again:
                return present
            raw = staging / "raw"
            raw.mkdir()
            archive_sha256 = self._fetch(model, source, sha256, staging, raw, advance)
            built = self._assemble(model, raw, staging)
            problem = model_problem(model.engine, built)
            if problem is not None:
                raise ModelFault(f"what came is no {model.engine} model: {problem}")
            self._record(model, built, source, archive_sha256)
            self._swap(built, self.models_dir / name, staging)
        return self.verify(name)

    def _fetch(
        self, model: Model, source: str | None, sha256: str | None, staging: Path, raw: Path, advance: Advance
    ) -> str | None:
        """Fill `raw`; return the sha256 of the archive when there was exactly one."""
        if source is None and model.source.packages:
            if sha256:
                raise ModelFault("--sha256 is for one archive; this model's checksums are in the manifest")
            from_packages(model, staging, raw, advance)
            return None
        source = source or model.source.url
        if source.startswith(("http://", "https://")):
            archive = from_address(source, staging, advance)
        elif Path(source).is_dir():
            if sha256:
                raise ModelFault("--sha256 is for one archive, not for a folder")
            from_folder(Path(source), raw, advance)
            return None
        elif Path(source).is_file():
            archive = Path(source)
        else:
            raise ModelFault(f"{source} is neither a folder, nor a file, nor an http(s) address")
        known = {"--sha256": sha256 or "", "the manifest": "" if model.files else model.source.sha256}
        if not sha256 and not model.files:
            known[TRUSTED] = self._trusted().get(model.name, {}).get("archive_sha256") or ""
        actual = require_archive(archive, known)
        unpack(archive, raw, advance)
        return actual

    def _assemble(self, model: Model, raw: Path, staging: Path) -> Path:
        """Build the model's folder out of the raw files, checking each as it is written."""
        if not model.files:
            return _root_of(model, raw)
        built = staging / "built"
        for file in model.files:
            target = built / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as joined:
                for part in _parts_of(file.path, file.parts, raw):
                    with part.open("rb") as opened:
                        shutil.copyfileobj(opened, joined, _BLOCK)
            fault = _file_fault(built, file.path, file.sha256, None)
            if fault:
                raise ModelFault(f"{fault}: not installed")
        return built

    def _checksums(self, model: Model) -> Mapping[str, str]:
        if model.files:
            return {file.path: file.sha256 for file in model.files}
        recorded: Mapping[str, str] = self._trusted().get(model.name, {}).get("files", {})
        return recorded

    def _trusted(self) -> dict[str, Any]:
        try:
            recorded: dict[str, Any] = json.loads((self.models_dir / TRUSTED).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as fault:
            raise ModelFault(f"{self.models_dir / TRUSTED}: {fault}") from fault
        return recorded

    def _record(self, model: Model, built: Path, source: str | None, archive_sha256: str | None) -> None:
        """Trust on first use: what came is written down before it becomes visible."""
        if model.files:
            return
        files = {str(path.relative_to(built)): sha256_of(path) for path in _files_under(built)}
        recorded = self._trusted()
        recorded[model.name] = {
            "source": source or model.source.url,
            "archive_sha256": archive_sha256,
            "files": files,
        }
        scratch = self.models_dir / f".{TRUSTED}.new"
        scratch.write_text(json.dumps(recorded, indent=1, sort_keys=True))
        scratch.replace(self.models_dir / TRUSTED)

    def _swap(self, built: Path, target: Path, staging: Path) -> None:
        for path in _files_under(built):
            path.chmod(0o644)
        if target.exists():
            target.rename(staging / "replaced")
        built.rename(target)

    @contextmanager
    def _staging(self, name: str) -> Iterator[Path]:
        """A scratch folder on the same file system. One left by a killed installation goes first."""
        for leftover in self.models_dir.glob(".installing-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=f".installing-{name}-", dir=self.models_dir))
        try:
            yield staging
        except OSError as fault:
            raise ModelFault(f"{fault.strerror or fault}: {fault.filename or self.models_dir}") from fault
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two installations into one folder take turns."""
        with (self.models_dir / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _file_fault(folder: Path, path: str, sha256: str, advance: Advance | None) -> str | None:
    try:
        actual = sha256_of(folder / path, advance)
    except OSError as fault:
        return f"{path}: {fault.strerror}"
    return None if actual == sha256 else f"{path} has sha256 {actual}, expected {sha256}"


def _files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _root_of(model: Model, raw: Path) -> Path:
    """Archives wrap a model in a folder or two: the nearest one that the engine could load."""
    folders = [raw, *sorted((path for path in raw.rglob("*") if path.is_dir()), key=lambda p: len(p.parts))]
    for folder in folders:
        if model_problem(model.engine, folder) is None:
            return folder
    raise ModelFault(f"no {model.engine} model in what came for {model.name}")


def _parts_of(path: str, parts: tuple[str, ...], raw: Path) -> list[Path]:
    """The source's own parts when they came, else the finished file wherever it lies."""
    if all((raw / part).is_file() for part in parts):
        return [raw / part for part in parts]
    finished = [found for found in _files_under(raw) if f"/{found.relative_to(raw)}".endswith(f"/{path}")]
    if not finished:
        raise ModelFault(f"{path} is not in what came")
    return [min(finished, key=lambda found: len(found.parts))]
