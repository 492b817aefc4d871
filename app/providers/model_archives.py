"""Unpacking an archive from anywhere: nothing outside its folder, no links, no bombs."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from app.providers.model_manifest import ModelFault

MAX_UNPACKED_BYTES = 8_000_000_000  # the largest Vosk model unpacks to a few GB
MAX_MEMBERS = 10_000
_BLOCK = 1 << 20

Advance = Callable[[int], None]  # told how many bytes went by


def unpack(archive: Path, into: Path, advance: Advance, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack a zip, wheel or tar into an existing folder.

    Raise ModelFault for another kind of file, a damaged one, a member that leaves the folder or is
    neither file nor folder, and more than `max_bytes` or 10,000 members.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, into, _Budget(max_bytes, advance))
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, into, _Budget(max_bytes, advance))
        else:
            raise ModelFault(f"{archive.name} is neither a zip, a wheel nor a tar")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, RuntimeError) as fault:
        raise ModelFault(f"{archive.name} is damaged or protected: {fault}") from fault


class _Budget:
    """Counts what was really written: sizes in headers can lie."""

    def __init__(self, max_bytes: int, advance: Advance) -> None:
        self._left = max_bytes
        self._members = 0
        self._advance = advance

    def member(self, name: str) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise ModelFault(f"the archive has more than {MAX_MEMBERS} members (at {name!r})")

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ModelFault("the archive unpacks to more than the allowed size")
        self._advance(count)


def _unpack_zip(archive: Path, into: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            budget.member(info.filename)
            if info.external_attr >> 28 == 0o12:  # the upper half is the Unix mode: a symbolic link
                raise ModelFault(f"the archive holds a link: {info.filename!r}")
            target = _inside(into, info.filename)
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            with opened.open(info) as source:
                _copy(source, target, budget)


def _unpack_tar(archive: Path, into: Path, budget: _Budget) -> None:
    with tarfile.open(archive) as opened:
        for info in opened:
            budget.member(info.name)
            target = _inside(into, info.name)
            if info.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            source = opened.extractfile(info) if info.isreg() else None
            if source is None:
                raise ModelFault(f"the archive holds something that is no file: {info.name!r}")
            with source:
                _copy(source, target, budget)


def _inside(folder: Path, name: str) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or "\0" in name:
        raise ModelFault(f"the archive would write outside its folder: {name!r}")
    return folder.joinpath(*pure.parts)


def _copy(source: IO[bytes], target: Path, budget: _Budget) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while block := source.read(_BLOCK):
            budget.spend(len(block))
            file.write(block)
