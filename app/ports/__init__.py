"""The outside world on one page: what we ask of it, the values that cross, and how a call can end.

An outside call ends in exactly one of four ways: it returns, or it raises `Refused` (a final no),
`Unavailable` (certainly not done: retry later with the same id) or `Unknown` (sent, no answer: query,
or retry with the same id). A time-out after sending is `Unknown`, never "failed". A vendor's "duplicate
request" is success. Bad material from a person (a silent clip, a photo without a barcode) is an
`app.errors.AppError`, because its answer is spoken to that person.
"""

from __future__ import annotations

from app.ports.card_system import (
    BatchLine,
    BatchOutcome,
    CardFacts,
    CardMode,
    CardSystem,
    Credit,
    CreditLine,
    CreditState,
)
from app.ports.face import (
    Action,
    FaceDecision,
    FaceQuality,
    Faces,
    FaceTemplate,
    FaceVerdict,
)
from app.ports.identity import (
    BankCards,
    Fingerprints,
    RemoteCheck,
    RemoteFace,
    RemoteReason,
    RemoteResult,
    Texts,
)
from app.ports.live import Streams
from app.ports.outcomes import (
    Clock,
    Health,
    OutsideError,
    Refused,
    Unavailable,
    Unknown,
)
from app.ports.senses import (
    Barcodes,
    Clip,
    Heard,
    Hypothesis,
    Recogniser,
    Speech,
)
from app.ports.vault import Vault, VaultFault
from app.ports.wechat import (
    Bill,
    BillLine,
    Message,
    Messages,
    Notice,
    NoticeRejected,
    Payment,
    PaymentRequest,
    Refund,
    RefundRequest,
    RefundState,
    TradeState,
    WeChatIdentity,
    WeChatLogin,
    WeChatPay,
)

__all__ = [
    "Action",
    "BankCards",
    "Barcodes",
    "BatchLine",
    "BatchOutcome",
    "Bill",
    "BillLine",
    "CardFacts",
    "CardMode",
    "CardSystem",
    "Clip",
    "Clock",
    "Credit",
    "CreditLine",
    "CreditState",
    "FaceDecision",
    "FaceQuality",
    "FaceTemplate",
    "FaceVerdict",
    "Faces",
    "Fingerprints",
    "Health",
    "Heard",
    "Hypothesis",
    "Message",
    "Messages",
    "Notice",
    "NoticeRejected",
    "OutsideError",
    "Payment",
    "PaymentRequest",
    "Recogniser",
    "Refund",
    "RefundRequest",
    "RefundState",
    "Refused",
    "RemoteCheck",
    "RemoteFace",
    "RemoteReason",
    "RemoteResult",
    "Speech",
    "Streams",
    "Texts",
    "TradeState",
    "Unavailable",
    "Unknown",
    "Vault",
    "VaultFault",
    "WeChatIdentity",
    "WeChatLogin",
    "WeChatPay",
]
