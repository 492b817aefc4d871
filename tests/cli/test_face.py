"""`flask --app wsgi face …`: one line a picture, in the words a script can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from app.config import REPOSITORY
from bench.face_accuracy import bounds
from tests.providers.moving_faces import hopper, somebody_else


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    photo = hopper()
    pictures = {
        "a": photo,
        "b": photo.rotate(5, Image.Resampling.BICUBIC),
        "c": photo.crop((20, 10, 500, 590)),
        "same": photo.resize((400, 469)),
        "stranger": somebody_else(),
        "shaken": photo.filter(ImageFilter.GaussianBlur(4)),
        "empty": Image.new("RGB", (600, 800)),
    }
    found = {}
    for name, picture in pictures.items():
        found[name] = tmp_path / f"{name}.jpg"
        picture.save(found[name])
    found["page"] = tmp_path / "page.jpg"
    found["page"].write_text("<html>")
    found["gone"] = tmp_path / "gone.jpg"
    return found


@pytest.fixture
def face(tmp_path: Path) -> Any:
    """Runs one command as a process, with a data folder of its own."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANXIN_")}
        environment |= {"ANXIN_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "160"}
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "face", *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_probes_are_compared_with_three_photos_one_line_each(face: Any, photos: dict[str, Path]) -> None:
    three = [photos[name] for name in "abc"]
    probes = [photos[name] for name in ("stranger", "shaken", "empty", "page")]
    done = face("verify", "--enrol", *three, "--probe", photos["same"], *probes, "--json")
    assert done.returncode == 0, done.stderr
    same, stranger, shaken, empty, page = lines_of(done)
    assert {"decision", "distance", "quality", "reasons", "cpu_seconds"} <= set(same)
    assert (same["decision"], same["quality"]["ok"], same["reasons"]) == ("pass", True, [])
    assert same["distance"] < 0.4 and 0 < same["cpu_seconds"] < 2.5
    assert stranger["decision"] == "no_match" and stranger["distance"] > 0.5
    assert (shaken["decision"], shaken["reasons"]) == ("retry", ["blur"])
    assert (empty["decision"], empty["distance"], empty["reasons"]) == ("retry", None, ["no_face"])
    assert (page["decision"], page["reasons"]) == ("retry", ["image_format"])
    assert {line["liveness"] for line in lines_of(done)} == {"not_checked"}


def test_for_people_it_is_a_table_that_says_what_was_not_checked(face: Any, photos: dict[str, Path]) -> None:
    three = [photos[name] for name in "abc"]
    done = face("verify", "--enrol", *three, "--probe", photos["same"], "--probe", photos["stranger"])
    assert done.returncode == 0, done.stderr
    assert "no_match" in done.stdout and "Liveness was not checked" in done.stdout


def test_three_photos_that_are_not_one_persons_are_refused_with_the_reason(
    face: Any, photos: dict[str, Path]
) -> None:
    three = [photos[name] for name in ("a", "b", "stranger")]
    done = face("verify", "--enrol", *three, "--probe", photos["same"], "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "face_not_one_person" in done.stderr and "Traceback" not in done.stderr


def test_quality_tells_the_reason_of_each_picture(face: Any, photos: dict[str, Path]) -> None:
    files = [photos[name] for name in ("a", "shaken", "empty", "page", "gone")]
    done = face("quality", *files, "--json")
    assert done.returncode == 1 and "gone.jpg: No such file or directory" in done.stderr
    lines = lines_of(done)
    assert [(line["ok"], line["reason"]) for line in lines] == [
        (True, None),
        (False, "blur"),
        (False, "no_face"),
        (False, "image_format"),
    ]
    assert lines[0]["figures"]["sharpness"] > lines[1]["figures"]["sharpness"]


def test_a_missing_picture_or_no_probe_is_explained(face: Any, photos: dict[str, Path]) -> None:
    three = [photos[name] for name in "abc"]
    gone = face("verify", "--enrol", *three, "--probe", photos["gone"])
    assert gone.returncode == 1 and "gone.jpg: No such file" in gone.stderr
    none = face("verify", "--enrol", *three)
    assert none.returncode == 2 and "Usage:" in none.stderr
    assert "Traceback" not in gone.stderr + none.stderr


# --- the figures of `make face-eval` ---


@pytest.mark.parametrize(
    ("wrong", "of", "low", "high"),
    [(3, 18, 0.0358, 0.4142), (1, 10, 0.0025, 0.4450), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129)],
)
def test_bounds_are_those_of_the_tables(wrong: int, of: int, low: float, high: float) -> None:
    assert bounds(wrong, of) == pytest.approx((low, high), abs=1e-4)


def test_none_wrong_says_about_three_in_n() -> None:
    assert bounds(0, 1000) == pytest.approx((0.0, 3 / 1000), rel=0.01)
