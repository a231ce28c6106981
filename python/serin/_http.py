"""Requests over kept-alive connections, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .errors import NoAnswerError
from .errors import ProblemError

# The server closes an idle connection after 75 seconds.
MAX_IDLE_SECONDS = 60.0

# Connections that wait for the next request; further ones are closed.
MAX_IDLE = 32

# Before the first repetition of a request; doubled each time.
PAUSE_SECONDS = 0.1


class Transport:
    """Sends requests to one server. Threads may share it; each request has a connection of its own."""

    def __init__(self, url: str, token: str | None, timeout: float, retries: int) -> None:
        if timeout <= 0:
            raise ValueError(f"timeout: {timeout}; use a number of seconds above 0, for example 30")
        if retries < 0:
            raise ValueError(f"retries: {retries}; use 0 or more")
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url: {url!r} is not the address of a server; use for example http://127.0.0.1:8000")
        if parts.username is not None:
            raise ValueError("url: has a user name; give the admin token as token=")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.timeout = timeout
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"Accept": "application/json", "User-Agent": "serin-python"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise ValueError("token: has characters that a header cannot carry")
            self._headers["Authorization"] = f"Bearer {token}"
        self._retries = retries
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        is_safe: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """The JSON of the answer.

        A safe request, which changes nothing and counts for nothing, is repeated when it gets no answer or the server
        is overloaded. Any other is sent once.
        """
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        for left in range(self._retries if is_safe else 0, -1, -1):
            pause = PAUSE_SECONDS * 2 ** (self._retries - left)
            try:
                return self._once(method, path, body, sent, timeout or self.timeout)
            except NoAnswerError:
                if left == 0:
                    raise
            except ProblemError as problem:
                if left == 0 or problem.status not in (429, 503):
                    raise
                pause = min(problem.retry_after or pause, 10.0)
            time.sleep(pause)
        raise AssertionError("the last round returns or raises")

    def close(self) -> None:
        """Closes the connections that wait. The next request opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Any:
        connection = self._connection(timeout)
        try:
            connection.request(method, self._prefix + path, body, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as cause:
            connection.close()
            raise NoAnswerError(f"{method} {self.url}{path}: {self._why(cause, timeout)}") from cause
        except BaseException:
            # Ctrl-C: an answer may still arrive, which no later request must read.
            connection.close()
            raise
        self._keep(connection)
        return _read(response, answer)

    def _why(self, cause: Exception, timeout: float) -> str:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused; is the server running? Start one with `serin serve` or serin.Server()"
        if isinstance(cause, TimeoutError):
            return f"no answer within {timeout:g} s"
        return str(cause) or type(cause).__name__

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that waits, if it is still open, or a new one."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, connection = self._idle.pop()
            if time.monotonic() - since < MAX_IDLE_SECONDS and not _is_closed(connection):
                connection.timeout = timeout
                connection.sock.settimeout(timeout)
                return connection
            connection.close()
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return _Connection(self._host, self._port, timeout=timeout)

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        # http.client has closed it if the server said so.
        if connection.sock is None:
            return
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


class _Connection(http.client.HTTPConnection):
    """http.client sends head and body apart; without this the body may wait 40 ms for an acknowledgment."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether something arrived on an idle connection, which can only be its end."""
    try:
        poller = select.poll()
        poller.register(connection.sock, select.POLLIN)
        return bool(poller.poll(0))
    except (OSError, ValueError):
        return True


def _read(response: http.client.HTTPResponse, answer: bytes) -> Any:
    kind = response.headers.get_content_type()
    if 200 <= response.status < 300:
        if kind != "application/json":
            return answer.decode(errors="replace")
        return json.loads(answer)
    fields: Mapping[str, Any] = {}
    if kind.endswith("json"):
        try:
            parsed = json.loads(answer)
            fields = parsed if isinstance(parsed, dict) else {}
        except ValueError:
            pass
    if not fields:
        # Not from serin: a proxy in between, or another server.
        text = answer.decode(errors="replace").strip()
        fields = {"detail": text[:500] or response.reason}
    raise ProblemError(response.status, fields, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdigit() else None
