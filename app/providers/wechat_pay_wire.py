"""One merchant's signed exchanges with WeChat Pay v3: requests signed, answers verified over raw bytes."""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.ports import Clock, Unknown
from app.providers.http import Answer, HttpClient, Limits
from app.providers.wechat_pay_codes import outcome
from app.providers.wechat_pay_config import PayConfig
from app.providers.wechat_pay_shapes import Problem
from app.providers.wechat_pay_signing import (
    NotGenuine,
    authorization,
    check_signature,
    load_private_key,
    load_public_key,
)

log = logging.getLogger(__name__)

LARGEST_FILE_BYTES = 64 * 1024 * 1024
_Shape = TypeVar("_Shape", bound=BaseModel)


class SignedWire:
    """The pooled connections of one merchant. `keys` verify WeChat: serial or PUB_KEY_ID -> key."""

    def __init__(self, config: PayConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._key = load_private_key(config.merchant_private_key_pem)
        self.keys = {serial: load_public_key(pem) for serial, pem in config.wechatpay_keys.items()}
        self._http = HttpClient(config.base_url, config.timeouts, config.standby_url)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._http.close()

    def call(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        """One signed exchange; returns the verified body of a 2xx answer."""
        raw = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = self._headers(method, target, raw)
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = self._http.send(method, target, headers, raw if body is not None else None)
        if answer.status in (200, 204):
            self._verify(answer)
            return answer.body
        return self._fail(method, target, answer)

    def download(self, target: str) -> bytes:
        """Fetch a file with a signed GET. WeChat signs no file: the caller holds its checksum."""
        limits = Limits(self._config.file_timeouts, LARGEST_FILE_BYTES)
        answer = self._http.send("GET", target, self._headers("GET", target, b""), limits=limits)
        return answer.body if answer.status == 200 else self._fail("GET", target, answer)

    def _headers(self, method: str, target: str, raw: bytes) -> dict[str, str]:
        signed = authorization(
            self._key,
            self._config.merchant_id,
            self._config.merchant_serial,
            method=method,
            target=target,
            timestamp=int(self._clock.now().timestamp()),
            nonce=secrets.token_hex(16),
            body=raw,
        )
        serial = self._config.wechatpay_serial
        return {"Authorization": signed, "Accept": "application/json", "Wechatpay-Serial": serial}

    def _verify(self, answer: Answer) -> None:
        now = int(self._clock.now().timestamp())
        try:
            check_signature(answer.headers, answer.body, self.keys, now, self._config.notice_window_seconds)
        except NotGenuine as fault:
            log.error("wechat pay answer not verifiable", extra={"reason": fault.reason})
            raise Unknown(f"answer_{fault.reason}") from None

    def _fail(self, method: str, target: str, answer: Answer) -> bytes:
        """Raise what an answer that is not 200 or 204 means.

        WeChat does not sign every refusal, so an unsigned one is taken at its word, as the official SDKs
        do; a signed one must verify.
        """
        if "Wechatpay-Signature" in answer.headers:
            self._verify(answer)
        try:
            code: str | None = Problem.model_validate_json(answer.body).code
        except ValidationError:
            code = None
        log.warning(
            "wechat pay refused or failed",
            extra={
                "method": method,
                "target": target.partition("?")[0],
                "status": answer.status,
                "vendor_code": code,
                "vendor_request_id": answer.headers.get("Request-ID"),
            },
        )
        raise outcome(answer.status, code)(code or f"http_{answer.status}")


def read(shape: type[_Shape], raw: bytes) -> _Shape:
    """A verified answer as `shape`; Unknown when it is not."""
    try:
        return shape.model_validate_json(raw)
    except ValidationError:
        raise Unknown("answer_shape", shape.__name__) from None
