"""Who somebody is, asked of others: WeChat's face check, text messages, the bank, the phone's fingerprint.

Names, ID numbers, phone numbers and codes cross here; an adapter never logs them and never puts them into
an exception. Nothing here moves money, and no answer counts for more than the one question it was about:
binding it to a person, an order and an amount is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class RemoteReason(StrEnum):
    """Why a remote face check ended as it did. Only OTHER_PERSON speaks against the person."""

    PASSED = "passed"
    UNFINISHED = "unfinished"  # nobody has looked into the camera yet
    OTHER_PERSON = "other_person"  # the face or the ID number is not that person's
    NOT_ON_FILE = "not_on_file"  # there is no picture to compare with: offer another way
    CANCELLED = "cancelled"
    NO_PERMISSION = "no_permission"  # camera or microphone is not allowed
    BAD_CAPTURE = "bad_capture"  # too dark, too bright, no face, too little movement
    TIMED_OUT = "timed_out"
    DEVICE = "device"  # this phone cannot do it: offer another way
    NETWORK = "network"
    TOO_OFTEN = "too_often"
    FAULT = "fault"  # on the other side, or a code nobody knows


@dataclass(frozen=True, slots=True)
class RemoteCheck:
    """A check that was begun. The phone may use `verify_id` (up to 256 characters) for `expires_in` s."""

    verify_id: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """How a check ended. `code` is the vendor's own number, `reason` what it means (not compared)."""

    passed: bool
    code: int
    reason: RemoteReason = field(default=RemoteReason.FAULT, compare=False)


class RemoteFace(Protocol):
    """A face check that somebody else makes, against the state's own picture (WeChat's, version 2)."""

    def begin(self, sequence: str, name: str, id_number: str, openid: str) -> RemoteCheck:
        """Begin one check. `sequence` is 5 to 32 of A-Z a-z 0-9 _ - (ValueError otherwise), used once for
        ever: after Unknown begin again with a *new* one, for a check nobody looks into harms nobody.
        """
        ...

    def result(self, check_id: str, sequence: str, name: str, id_number: str, openid: str) -> RemoteResult:
        """What became of it; asking again is safe. `check_id` is the `verify_id`; all five must be those it
        was begun with, else Refused. What the phone says of its success is no proof: only this is.
        """
        ...


class Texts(Protocol):
    """SMS."""

    def send(self, request_id: str, phone: str, template: str, facts: Mapping[str, str]) -> None:
        """Send one text, once for each request_id (6 to 64 of A-Z a-z 0-9 _ -): repeating it is safe.

        Refused for a number that takes none, an unknown template, facts that do not fit it, or a request_id
        used differently ("conflict"). Accepted is not delivered.
        """
        ...


class BankCards(Protocol):
    """The bank's four-factor check."""

    def verify(self, request_id: str, name: str, id_number: str, card_number: str, phone: str) -> bool:
        """Whether all four belong to one person; never which one does not. The request_id is as for Texts.

        Refused for a card that is blocked or lost, or material without the shape of such numbers.
        """
        ...


class Fingerprints(Protocol):
    """A fingerprint (or the phone's own face lock), by WeChat's SOTER: proves whose phone, not who."""

    def verify(self, openid: str, challenge: str, result_json: str, signature: str) -> bool:
        """Whether the phone of `openid` signed `result_json`, and that answers exactly `challenge`.

        Both texts as wx.startSoterAuthentication gave them, unchanged. That a challenge is fresh, bound to
        its order and used once is the caller's business: the other side does not remember it.
        """
        ...
