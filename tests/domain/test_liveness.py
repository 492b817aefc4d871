"""Movements told from two numbers a frame: in order, from one's own neutral, with the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.liveness import LEFT, MOUTH, RIGHT, Moment, performed, watch

# As dlib's landmarks gave them for a head that turned left and opened its mouth (a photo, bent).
REAL = [
    (0.0166, 0.2083),
    (0.0361, 0.206),
    (0.3398, 0.2075),
    (0.4365, 0.2093),
    (0.2685, 0.2108),
    (0.02, 0.2073),
    (0.0698, 0.205),
    (0.0413, 0.6537),
    (0.0233, 0.2794),
    (0.0299, 0.1981),
    (0.0267, 0.2092),
    (-0.0132, 0.207),
]
N, L, R, M, LOST = (0.0, 0.03), (0.4, 0.03), (-0.4, 0.03), (0.02, 0.5), None


def series(*frames: tuple[float, float] | None, lean: float = 0.0) -> list[Moment | None]:
    return [None if frame is None else Moment(frame[0] + lean, frame[1]) for frame in frames]


@pytest.mark.parametrize(
    ("frames", "asked"),
    [
        ((N, N, L, L, N, N, M, N), (LEFT, MOUTH)),
        ((N, N, R, N, N, L, L, N), (RIGHT, LEFT)),
        ((N, M, M, N, R, R, N, N), (MOUTH, RIGHT)),
        ((N, N, L, LOST, L, N, N, M, N, N), (LEFT, MOUTH)),
        ((N, N, L, LOST, LOST, N, N, M, N, N), (LEFT, MOUTH)),
        ((LOST, N, L, N, N, L, N, N), (LEFT, LEFT)),
    ],
    ids=["left, mouth", "right, left", "mouth, right", "lost in the turn", "lost at its end", "twice left"],
)
def test_what_was_asked_and_done_is_seen(frames: tuple[tuple[float, float]], asked: tuple[str, ...]) -> None:
    seen = watch(series(*frames))
    assert performed(seen, asked)
    assert not performed(seen, asked[::-1]) or asked == asked[::-1]
    assert not performed(seen, asked[:1]) and not performed(seen, (*asked, MOUTH))


def test_figures_of_real_landmarks_are_read_as_the_movements_they_show() -> None:
    seen = watch(series(*REAL))
    assert seen.movements == (LEFT, MOUTH) and seen.returned
    assert seen.neutral == (0, 1, 5, 6, 9, 10, 11)
    assert [at for _, at in seen.done] == [2, 7]


@pytest.mark.parametrize(
    "frames",
    [
        (N,) * 8,
        ((0.17, 0.03), N, (-0.17, 0.03), N) * 2,  # a flat print turned by 45 degrees in the hand
        (N, N, R, R, N, M, N, N),
        (N, N, L, L, R, N, M, N),
        (N, N, L, L, M, M, N, N),
        (N, N, L, N, N, M, M, M),
        (N, L, N, M, N, R, N, N),
        (N, N, L, L, N, (0.0, 0.3), N, N),
    ],
    ids=[
        "still",
        "a print",
        "the other way",
        "both ways",
        "no way back",
        "an open end",
        "everything",
        "half open",
    ],
)
def test_anything_else_is_not_left_and_then_the_mouth(frames: tuple[tuple[float, float]]) -> None:
    assert not performed(watch(series(*frames)), (LEFT, MOUTH))


def test_a_turn_counts_from_the_persons_own_neutral() -> None:
    frames = (N, N, (0.25, 0.03), (0.25, 0.03), N, N, M, N)
    assert not performed(watch(series(*frames)), (LEFT, MOUTH))
    assert not performed(watch(series(*frames, lean=0.15)), (LEFT, MOUTH))
    assert performed(watch(series(N, N, L, N, N, M, N, N, lean=-0.15)), (LEFT, MOUTH))


def test_lips_that_are_always_apart_open_three_times_as_far() -> None:
    talker = (0.0, 0.15)
    assert not performed(watch(series(talker, talker, (0.0, 0.4), talker, talker)), (MOUTH,))
    assert performed(watch(series(talker, talker, (0.0, 0.5), talker, talker)), (MOUTH,))


def test_who_never_faces_the_camera_or_is_hardly_there_is_told_so() -> None:
    assert watch(series(*[L] * 8)).reason == "pose"
    assert watch(series(N, N, N, LOST, LOST, LOST, L, N)).reason == "no_face"
    assert watch([]).reason == "no_face"


figures = st.builds(Moment, st.floats(-1, 1), st.floats(0, 1))


@given(st.lists(st.none() | figures, max_size=15))
def test_any_figures_are_judged_and_indexes_are_of_frames_with_a_face(frames: list[Moment | None]) -> None:
    seen = watch(frames)
    assert all(frames[at] is not None for at in (*seen.neutral, *(at for _, at in seen.done)))
    assert seen.reason is not None or any(frame is not None for frame in frames)


@given(st.lists(figures.filter(lambda moment: abs(moment.turn) <= 0.14 and moment.mouth < 0.3), min_size=8))
def test_a_head_that_hardly_moves_never_performs_anything(frames: list[Moment]) -> None:
    assert watch(frames).movements == ()


@given(st.permutations([LEFT, RIGHT, MOUTH]))
def test_only_the_order_asked_is_the_order_done(asked: list[str]) -> None:
    shown = {LEFT: L, RIGHT: R, MOUTH: M}
    seen = watch(series(N, *(frame for name in asked for frame in (shown[name], N))))
    assert performed(seen, asked) and not performed(seen, asked[::-1])
