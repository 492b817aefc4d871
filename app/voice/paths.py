"""The cheapest ways to cut a heard text into known words, sums and unknown syllables."""

from __future__ import annotations

from dataclasses import dataclass

from app.voice.lattice import Edge, Lattice
from app.voice.settings import Settings, settings

_COURTESY = frozenset({"polite", "me"})


@dataclass(frozen=True, slots=True)
class Path:
    """One cut of the whole text. `cost` is the sum over its edges."""

    edges: tuple[Edge, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class _Step:
    cost: float
    edge: Edge | None
    before: _Step | None
    shape: int  # a hash of the meanings so far: two cuts of the same shape mean the same


def cheapest(found: Lattice) -> list[Path]:
    """Up to `paths_at_most` cuts with different meanings, cheapest first; one empty cut for no text."""
    rules = settings()
    arrived: list[dict[int, _Step]] = [{} for _ in range(len(found.heard) + 1)]
    arrived[0][0] = _Step(0.0, None, None, 0)
    for start, edges in enumerate(found.edges):
        for step in _kept(arrived[start], rules):
            for edge in edges:
                _arrive(arrived[edge.end], step, edge)
    return [_path(step) for step in _kept(arrived[-1], rules)]


def _arrive(place: dict[int, _Step], step: _Step, edge: Edge) -> None:
    cost = step.cost + edge.cost
    shape = step.shape if _same_again(step, edge) else hash((step.shape, edge.kinds, edge.value))
    known = place.get(shape)
    if known is None or cost < known.cost:
        place[shape] = _Step(cost, edge, step, shape)


def _same_again(step: _Step, edge: Edge) -> bool:
    """Nothing new: one more unknown syllable, one more word of the same class, a courtesy."""
    if edge.kinds <= _COURTESY:
        return True
    return step.edge is not None and edge.kinds == step.edge.kinds and edge.value is None


def _kept(place: dict[int, _Step], rules: Settings) -> list[_Step]:
    ranked = sorted(place.values(), key=lambda step: step.cost)[: rules.paths_at_most]
    return [step for step in ranked if step.cost <= ranked[0].cost + rules.worse_by]


def _path(step: _Step) -> Path:
    edges: list[Edge] = []
    at: _Step | None = step
    while at is not None and at.edge is not None:
        edges.append(at.edge)
        at = at.before
    return Path(tuple(reversed(edges)), step.cost)
