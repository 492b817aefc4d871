"""A film is known again by how the head was held in it, and another film of the same face is another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.replay import FIGURES, NOISE, Trace, alike, apart, mirrored, pack, pose, unpack

# As the engine traced a photo that was bent into a turn to the left and an open mouth.
REAL: Trace = (
    (5, 17, 12, 565, 1074, 849, -275, -290),
    (25, 20, 18, 561, 1063, 849, -265, -280),
    (405, 8, 234, 583, 1095, 845, -284, -321),
    (417, 4, 239, 584, 1092, 835, -282, -323),
    (137, 22, 77, 567, 1062, 832, -249, -266),
    (7, 17, 7, 555, 1070, 841, -283, -297),
    (-61, 514, -2, 539, 1208, 914, -334, -341),
    (-43, 520, 1, 521, 1188, 905, -328, -335),
    (7, 20, 12, 565, 1068, 848, -267, -285),
    (-11, 9, 4, 564, 1070, 856, -282, -294),
)
NODDING, WIDER = (0, 0, 0, 40, 30, 0, 15, 15), (60, -60, 40, 0, 0, 0, 0, 0)
poses = st.tuples(*[st.integers(-2000, 2000)] * len(FIGURES))
traces = st.lists(poses, min_size=1, max_size=15).map(tuple)


def moved(trace: Trace, by: tuple[int, ...]) -> Trace:
    return tuple(tuple(figure + more for figure, more in zip(each, by, strict=True)) for each in trace)


@given(st.lists(st.tuples(*[st.integers(-noise, noise) for noise in NOISE]), min_size=10, max_size=10))
def test_what_a_new_encoding_moves_leaves_a_film_the_same(jitter: list[tuple[int, ...]]) -> None:
    copy = tuple(moved((each,), by)[0] for each, by in zip(REAL, jitter, strict=True))
    assert alike(copy, REAL) and alike(mirrored(copy), REAL)


@pytest.mark.parametrize("by", [NODDING, WIDER], ids=["head held lower", "moved farther"])
def test_a_head_that_was_held_or_moved_otherwise_is_another_film(by: tuple[int, ...]) -> None:
    calm = range(len(REAL)) if by == NODDING else [2, 3, 4, 6, 7]
    other = tuple(moved((each,), by)[0] if at in calm else each for at, each in enumerate(REAL))
    assert not alike(other, REAL)


def test_neither_film_may_show_what_the_other_does_not() -> None:
    without_mouth = tuple(each for each in REAL if each[1] < 100)
    assert apart(without_mouth, REAL) == apart(REAL, without_mouth) > 1.0


@given(traces, traces)
def test_being_apart_is_the_same_from_both_sides_and_nothing_from_oneself(one: Trace, other: Trace) -> None:
    assert apart(one, other) == pytest.approx(apart(other, one)) and apart(one, one) == 0
    assert mirrored(mirrored(one)) == one


def test_a_film_in_which_nothing_was_seen_is_like_none() -> None:
    assert not alike((), REAL) and not alike(REAL, ()) and not alike((), ())


@given(traces)
def test_a_trace_is_kept_in_sixteen_bytes_a_frame(trace: Trace) -> None:
    packed = pack(trace)
    assert unpack(packed) == trace and len(packed) == 1 + 16 * len(trace)


def test_a_trace_of_another_form_is_not_compared() -> None:
    assert unpack(b"") == () and unpack(b"\x00" + pack(REAL)[1:]) == ()


def test_figures_beyond_all_measure_are_kept_as_the_largest() -> None:
    assert pose([1e9, -1e9, *[0.0123] * 6]) == (32_767, -32_767, *[12] * 6)
