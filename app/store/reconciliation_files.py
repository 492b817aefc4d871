"""What is kept of a reconciled day on disk: the bills as they came, and the report.

`<data_dir>/reconciliation/<day>/`: bills hold openids, so only the service itself may read them.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

FOLDER = "reconciliation"


class BillChanged(Exception):
    """A bill differs from the one kept earlier, though WeChat never changes one."""


def folder_of(data_dir: Path, day: date) -> Path:
    return data_dir / FOLDER / day.isoformat()


def keep_bill(folder: Path, channel: str, raw: bytes, sha1: str) -> Path:
    """Keep a bill and its checksum beside it, once. BillChanged when another one was kept before."""
    path = folder / f"wechat_{channel}.csv"
    checksum = path.with_suffix(".csv.sha1")
    if checksum.exists():
        kept = checksum.read_text(encoding="ascii").split(" ")[0]
        if kept != sha1:
            raise BillChanged(f"{path.name}: kept {kept}, came {sha1}")
        return path
    _write(path, raw)
    _write(checksum, f"{sha1}  {path.name}\n".encode("ascii"))
    return path


def write_report(folder: Path, files: dict[str, str]) -> None:
    """Write the report's files; those that would stay the same are left alone."""
    for name, text in files.items():
        path, wanted = folder / name, text.encode()
        if not path.exists() or path.read_bytes() != wanted:
            _write(path, wanted)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the power goes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
