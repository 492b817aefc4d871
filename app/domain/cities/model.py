"""What a city is. Every value comes from its file; what the keys mean stands in docs/CITIES.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

from app.domain.fees import OTHER, FeeSchedule

BATCH_PROMISE = timedelta(hours=12)


class Clearing(StrEnum):
    REALTIME = "realtime"  # credited in seconds, holidays included
    STANDARD = "standard"  # by the clock at payment success
    BATCH = "batch"  # collected until a cut-off, then processed together


class Channel(StrEnum):
    OA_MENU = "oa_menu"  # the official account's menu
    MINI_PROGRAM = "mini_program"
    PAYMENT_VOUCHER = "payment_voucher"  # the page WeChat shows after a payment


class IdentityRule(StrEnum):
    """What a person must have proven before the first payment here."""

    NONE = "none"
    REAL_NAME = "real_name"  # only a real-name card may pay
    FACE_FIRST_USE = "face_first_use"  # once in `identity_days`
    BANK_CARD_FIRST_USE = "bank_card_first_use"  # once, and again for another bank card


class MethodName(StrEnum):
    WECHAT_BALANCE = "wechat_balance"
    BANK_CARD = "bank_card"
    CREDIT_CARD = "credit_card"


class CardKind(StrEnum):
    """Where the balance of the city's own cards lives; the values are those of `app.ports.CardMode`."""

    ACCOUNT = "account"
    CHIP = "chip"


class Writing(StrEnum):
    """How money gets onto a chip."""

    NFC = "nfc"
    TERMINAL = "terminal"


class Dialect(StrEnum):
    MANDARIN = "mandarin"
    CHENGDU = "chengdu"
    CANTONESE = "cantonese"
    SHANGHAI = "shanghai"
    WUHAN = "wuhan"
    LANZHOU = "lanzhou"
    MINNAN = "minnan"
    DONGBEI = "dongbei"


class Region(StrEnum):
    YANGTZE_DELTA = "yangtze_delta"
    PEARL_DELTA = "pearl_delta"
    NORTH = "north"
    CENTRAL = "central"
    WEST = "west"


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay. Limits are inclusive, in fen. Without a fee schedule it is free."""

    name: str  # the value of a MethodName
    label: str
    enabled: bool
    min_fen: int
    max_fen: int
    fees: tuple[FeeSchedule, ...] = ()

    def schedule(self, bank: str | None = None) -> FeeSchedule | None:
        """The schedule of `bank`, else the one for all other banks; None when the method is free."""
        own = next((schedule for schedule in self.fees if schedule.bank == bank), None)
        return own or next((schedule for schedule in self.fees if schedule.bank == OTHER), None)

    def fee_fen(self, amount_fen: int, bank: str | None = None) -> int:
        """The fee the payer bears for `amount_fen`, quoted before confirming; quoted = charged."""
        schedule = self.schedule(bank)
        return 0 if schedule is None else schedule.fee_fen(amount_fen)


@dataclass(frozen=True, slots=True)
class Entry:
    """How people come in. `menu_depth` taps lead to the top-up, which takes exactly `steps` steps."""

    channel: Channel
    menu_depth: int
    steps: int
    identity: IdentityRule
    identity_days: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Payments before a cut-off (Asia/Shanghai, every day) are processed together after it."""

    cut_offs: tuple[time, ...]
    processing: timedelta


@dataclass(frozen=True, slots=True)
class LargePayment:
    """From these sums on, inclusive, a payment needs a fresh check: one top-up, or all of one day's."""

    single_fen: int
    day_fen: int


@dataclass(frozen=True, slots=True)
class Service:
    """How the city's own service is run, for operators."""

    active_sites: int = 1
    standby_sites: int = 0
    queue: bool = False  # a place and a wait estimate at peaks
    split_reads: bool = False  # reads come from a replica
    write_p99_ms: int | None = None


@dataclass(frozen=True, slots=True)
class City:
    """`methods` are the ones offered, the first is the usual one; `methods_off` are switched off here."""

    name: str
    label: str
    card_name: str
    card_prefixes: tuple[str, ...]
    region: Region
    hotline: str
    dialects: tuple[Dialect, ...]
    entry: Entry
    clearing: Clearing
    batch: Batch | None
    card_kinds: tuple[CardKind, ...]
    writing: tuple[Writing, ...]
    methods: tuple[Method, ...]
    methods_off: tuple[Method, ...]
    large: LargePayment
    accepts: tuple[str, ...]  # partner cities whose cards are topped up here, through inter-city clearing
    service: Service

    @property
    def step_budget(self) -> int:
        """Exactly this many steps lead to a paid order."""
        return self.entry.steps

    def method(self, name: str) -> Method | None:
        """The method if it is offered here. One that is off is neither offered nor accepted: None."""
        return next((method for method in self.methods if method.name == name), None)
