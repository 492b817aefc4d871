"""How often the owner is refused and a stranger taken, by group, with what the sample can and cannot say."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import AppError
from app.providers.face_engine import MIDDLE, STRICT, distance
from app.providers.face_images import PHOTO, pixels
from app.providers.face_models import FaceModels, Vector
from app.providers.face_quality import look

THRESHOLDS = {"strict": STRICT, "middle": MIDDLE}
CONFIDENCE = 0.95
GROUPS = {"deepface": "public persons", "fr": "public persons (fr)", "ea": "East-Asian actors"}


@dataclass
class Sample:
    """Distances of one group, own and strangers', of one way to compare."""

    group: str
    compared: str
    own: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        rates = {}
        for name, limit in THRESHOLDS.items():
            rates[name] = {
                "threshold": limit,
                "frr": rate([apart > limit for apart in self.own]),
                "far": rate([apart <= limit for apart in self.strangers]),
            }
        return {
            "group": self.group,
            "compared": self.compared,
            "own": sorted(round(apart, 4) for apart in self.own),
            "strangers": sorted(round(apart, 4) for apart in self.strangers),
            **rates,
        }


def rate(wrong: Sequence[bool]) -> dict[str, Any] | None:
    """Wrong ones of all, their share, and its bounds. None of an empty sample."""
    if not wrong:
        return None
    low, high = bounds(sum(wrong), len(wrong))
    return {"wrong": sum(wrong), "of": len(wrong), "share": sum(wrong) / len(wrong), "low": low, "high": high}


def bounds(wrong: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper-Pearson, two-sided. Of none wrong the upper bound is one-sided: about 3 / n."""
    tail = (1 - confidence) / 2
    if wrong == 0:
        return 0.0, 1 - (1 - confidence) ** (1 / of)
    low = _root(lambda share: 1 - _at_most(wrong - 1, of, share) - tail)
    high = 1.0 if wrong == of else _root(lambda share: tail - _at_most(wrong, of, share))
    return low, high


def _at_most(wrong: int, of: int, share: float) -> float:
    """The binomial's distribution function."""
    return math.fsum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(wrong + 1))


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def labels(folder: Path) -> dict[str, list[Path]]:
    """Pictures by person, those with one known face only; empty where the pictures are not."""
    table = folder / "labels.tsv"
    found: dict[str, list[Path]] = {}
    if not table.is_file():
        return found
    with table.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if group_of(row["person"]) in GROUPS and (folder / row["file"]).is_file():
                found.setdefault(row["person"], []).append(folder / row["file"])
    return found


def group_of(person: str) -> str:
    return person.partition("-")[0]


def embed_all(
    models: FaceModels, people: dict[str, list[Path]], step: Callable[[], None]
) -> tuple[dict[str, list[Vector]], list[str], dict[str, int]]:
    """Vectors by person; pictures that were left out, with the reason; how many fail which quality gate."""
    found: dict[str, list[Vector]] = {}
    left_out, faults = [], dict[str, int]()
    for person, photos in people.items():
        for photo in photos:
            step()
            try:
                picture = pixels(photo.read_bytes(), PHOTO)
            except AppError as refused:
                left_out.append(f"{photo.name}: {refused.code}")
                continue
            seen = look(models, picture, PHOTO.side)
            if isinstance(seen, str):
                left_out.append(f"{photo.name}: {seen}")
                continue
            faults[seen.fault or "none"] = faults.get(seen.fault or "none", 0) + 1
            found.setdefault(person, []).append(models.embed(picture, seen.box))
    return found, left_out, faults


def samples(vectors: dict[str, list[Vector]]) -> list[Sample]:
    """Every group: one picture with one, and enrolments (a mean of up to three) with the rest."""
    found = []
    for group, name in GROUPS.items():
        single = Sample(name, "one with one")
        members = {person: own for person, own in vectors.items() if group_of(person) == group}
        flat = [(person, vector) for person, own in members.items() for vector in own]
        for (person, one), (another, two) in itertools.combinations(flat, 2):
            (single.own if person == another else single.strangers).append(distance(one, two))
        found.append(single)
        if any(len(own) > 2 for own in members.values()):
            found.append(_templates(name, members, vectors))
    return [sample for sample in found if sample.own or sample.strangers]


def _templates(name: str, members: dict[str, list[Vector]], everybody: dict[str, list[Vector]]) -> Sample:
    """The mean of all but one, at most three of them, with that one and with every stranger of all groups."""
    sample = Sample(name, "mean with one")
    for person, own in members.items():
        if len(own) < 3:
            continue
        size = min(3, len(own) - 1)
        for chosen in itertools.combinations(range(len(own)), size):
            mean: Vector = np.mean([own[at] for at in chosen], axis=0)
            sample.own += [distance(mean, own[at]) for at in range(len(own)) if at not in chosen]
            sample.strangers += [
                distance(mean, vector)
                for another, others in everybody.items()
                if another != person
                for vector in others
            ]
    return sample
