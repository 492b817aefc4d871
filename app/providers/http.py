"""One HTTP exchange with a vendor, and how it can fail: certainly not sent, or sent and unanswered.

Nothing here retries, follows redirects, keeps cookies, or reads proxies and .netrc from the environment:
a signed request for money goes where the configuration says, once.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import quote

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from app.ports import Unavailable, Unknown

# At DEBUG urllib3 writes whole targets, and WeChat wants secrets and tokens in query strings.
logging.getLogger("urllib3").setLevel(logging.INFO)

USER_AGENT = "anxin/1 (python-requests)"
LARGEST_ANSWER_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_POOL_SIZE = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: the body is the bytes as they came, because signatures are over them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Timeouts:
    """connect: until a connection stands. read: for each wait, and for the whole answer once it began."""

    connect_seconds: float = 3.0
    read_seconds: float = 8.0


FILE_TIMEOUTS = Timeouts(read_seconds=60.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large one answer may be."""

    timeouts: Timeouts
    largest_bytes: int = LARGEST_ANSWER_BYTES


def segment(text: str) -> str:
    """`text` as one path segment. ValueError for what no quoting can keep in its place."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be part of a path")
    return quote(text, safe="")


class HttpClient:
    """A pool of connections to one vendor, shared by all threads."""

    def __init__(self, base_url: str, timeouts: Timeouts, standby_url: str | None = None) -> None:
        """`standby_url` is tried once when no connection to `base_url` can be made (nothing was sent)."""
        self._hosts = [url.rstrip("/") for url in (base_url, standby_url) if url]
        if not self._hosts or not all(url.startswith(("https://", "http://")) for url in self._hosts):
            raise ValueError(f"not an http(s) address: {base_url!r}")
        self._timeouts = timeouts
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_maxsize=_POOL_SIZE, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limits: Limits | None = None,
    ) -> Answer:
        """Exchange once. `target` is path and query, already percent-encoded. `limits` replaces the usual
        ones where a file is fetched.

        Raise Unavailable("not_connected") when nothing was sent, Unknown("no_answer") when it may have
        been. Messages name no address, because addresses carry secrets.
        """
        limits = limits or Limits(self._timeouts)
        for host in self._hosts[:-1]:
            try:
                return self._send(host, method, target, headers, body, limits)
            except Unavailable:
                continue
        return self._send(self._hosts[-1], method, target, headers, body, limits)

    def _send(  # what `send` was given; a record would only be unpacked here
        self,
        host: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: Limits,
    ) -> Answer:
        timeouts = limits.timeouts
        try:
            response = self._session.request(
                method,
                host + target,
                data=body,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                timeout=(timeouts.connect_seconds, timeouts.read_seconds),
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as fault:
            if _never_sent(fault):
                raise Unavailable("not_connected", type(fault).__name__) from None
            raise Unknown("no_answer", type(fault).__name__) from None
        try:
            return Answer(response.status_code, response.headers, _read(response, limits))
        finally:
            response.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()


def _read(response: requests.Response, limits: Limits) -> bytes:
    """The whole body, within the time and the size allowed; a dripping answer is no answer."""
    deadline = time.monotonic() + limits.timeouts.read_seconds
    body = bytearray()
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > limits.largest_bytes:
                raise Unknown("no_answer", "answer too large")
            if time.monotonic() > deadline:
                raise Unknown("no_answer", "answer too slow")
    except (urllib3.exceptions.HTTPError, OSError) as fault:
        raise Unknown("no_answer", type(fault).__name__) from None
    return bytes(body)


def _never_sent(fault: requests.RequestException) -> bool:
    """Whether it failed before a byte of the request could have reached the other side."""
    cause = fault.args[0] if fault.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):  # refused, no route, DNS, too slow
        return True
    inner = reason.args[0] if isinstance(reason, urllib3.exceptions.SSLError) and reason.args else None
    return isinstance(inner, ssl.SSLCertVerificationError)
