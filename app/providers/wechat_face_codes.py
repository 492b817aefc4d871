"""What WeChat's verify_ret means: 9xxxx happened on the phone, 1xxxx at the comparison.

From the page of queryVerifyInfo. Of the 1xxxx our copy of it shows only the first; the others are those of
the interface before it, whose numbers it continues.
"""

from __future__ import annotations

from app.ports import RemoteReason

PASSED = 10000

_MEANINGS: dict[RemoteReason, tuple[int, ...]] = {
    RemoteReason.PASSED: (PASSED,),
    RemoteReason.UNFINISHED: (0,),  # assumed: no page says what a check nobody finished answers
    RemoteReason.OTHER_PERSON: (
        10003,  # the ID number does not match
        10004,  # the face does not match
    ),
    RemoteReason.NOT_ON_FILE: (
        10009,  # no picture of that ID number
        10018,  # no such person
        10026,  # the ID number is not in the database
    ),
    RemoteReason.CANCELLED: (90002, 90003, 90004, 90005, 90006, 90024, 90100),
    RemoteReason.NO_PERMISSION: (
        90008,  # camera
        90009,  # microphone
        90010,  # both
    ),
    RemoteReason.BAD_CAPTURE: (
        10002,  # no features found
        10005,  # too bright
        10010,  # quality too low
        10027,  # speech not understood
        10028,  # lips did not move
        90011,
        90013,
        90014,
        90023,  # lost sight of the face
    ),
    RemoteReason.TIMED_OUT: (10020, 90017, 90107),
    RemoteReason.DEVICE: (
        90001,
        90109,
        90106,  # the camera failed
    ),
    RemoteReason.NETWORK: (90007, 90012, 90019, 90020, 90021),
    RemoteReason.TOO_OFTEN: (10042, 10052, 10057),
}

_REASONS = {code: reason for reason, codes in _MEANINGS.items() for code in codes}


def reason_of(code: int) -> RemoteReason:
    """FAULT for everything that is not listed: it speaks neither for the person nor against."""
    return _REASONS.get(code, RemoteReason.FAULT)
