"""WeChat Pay v3 error codes and what they mean for us. Messages are never looked at, only codes.

A code that is not listed is Unknown: with money, not understanding an answer is not a no. Every 5xx is
Unknown and every 429 Unavailable before this table is asked.
"""

from __future__ import annotations

from app.ports import OutsideError, Refused, Unavailable, Unknown

OUTCOMES: dict[str, type[OutsideError]] = {
    # Final: the same request will never be accepted.
    "PARAM_ERROR": Refused,
    "INVALID_REQUEST": Refused,  # also: re-entered with other parameters
    "APPID_MCHID_NOT_MATCH": Refused,
    "MCH_NOT_EXISTS": Refused,
    "NO_AUTH": Refused,
    "RULE_LIMIT": Refused,
    "OUT_TRADE_NO_USED": Refused,
    "TRADE_ERROR": Refused,
    "ACCOUNT_ERROR": Refused,
    "OPENID_MISMATCH": Refused,
    "USER_ACCOUNT_ABNORMAL": Refused,  # a refund to a closed account: pay back by another way
    "ORDER_PAID": Refused,
    "ORDER_CLOSED": Refused,
    "ORDER_NOT_EXIST": Refused,
    "RESOURCE_NOT_EXISTS": Refused,
    "NO_STATEMENT_EXIST": Refused,  # no trades that day; `trade_bill` turns it into None
    # Not done, and worth repeating once something is put right.
    "FREQUENCY_LIMITED": Unavailable,
    "RATELIMIT_EXCEEDED": Unavailable,
    "NOT_ENOUGH": Unavailable,  # our account is empty today; the refund is owed all the same
    "STATEMENT_CREATING": Unavailable,
    "SIGN_ERROR": Unavailable,  # our clock or our key: an operator repairs it, the request stays valid
    # Nobody knows.
    "SYSTEM_ERROR": Unknown,
    "BANK_ERROR": Unknown,
    "USERPAYING": Unknown,
}


def outcome(status: int, code: str | None) -> type[OutsideError]:
    """How a call ended that answered `status` (not 2xx) with `code` (None: no readable code)."""
    if status == 429:
        return Unavailable
    if status >= 500 or code is None:
        return Unknown
    return OUTCOMES.get(code, Unknown)
