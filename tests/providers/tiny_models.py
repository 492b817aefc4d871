"""Models of a few bytes, and the folders, archives and wheels they may arrive in."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

FILES = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a",
}
VOSK = {"am/final.mdl": b"weights", "conf/mfcc.conf": b"m", "conf/model.conf": b"c", "graph/Gr.fst": b"g"}
HALVES = {
    "half/model.1": FILES["model.bin"][:9],
    "half/model.2": FILES["model.bin"][9:],
    **{f"half/{name}": data for name, data in FILES.items() if name != "model.bin"},
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ignore(count: int) -> None:
    """Progress nobody looks at."""


def write_manifest(path: Path) -> Path:
    """Two small models: `tiny` with checksums (its model.bin comes in two parts), `fresh` without."""
    parts = {name: [f"half/{name}"] for name in FILES} | {"model.bin": ["half/model.1", "half/model.2"]}
    files = "".join(
        f'[[tiny.file]]\npath = "{name}"\nsha256 = "{sha256(data)}"\nfrom = {json.dumps(parts[name])}\n'
        for name, data in FILES.items()
    )
    common = 'languages = ["zh"]\ndialects = []\nlicence = "none"\nnote = ""\n'
    path.write_text(
        f'[tiny]\nengine = "whisper"\n{common}[tiny.source]\nkind = "archive"\nurl = ""\nsha256 = ""\n{files}'
        f'[fresh]\nengine = "vosk"\n{common}[fresh.source]\nkind = "archive"\nurl = ""\nsha256 = ""\n'
    )
    return path


def folder_of(target: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return target


def zip_of(target: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


def tar_of(target: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target


def under(prefix: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{prefix}/{name}": data for name, data in files.items()}


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}
