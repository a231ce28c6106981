"""What can go wrong, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SerinError(Exception):
    """The base of all exceptions of this package."""


class NoAnswerError(SerinError, ConnectionError):
    """The server did not answer: it cannot be reached, the time was over, or the connection broke."""


class ProblemError(SerinError):
    """The server refused a request. `code` is a word that does not change from release to release.

    `fields` has all members of the problem (RFC 9457), also those that this version of the package does not know.
    """

    def __init__(self, status: int, fields: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.fields = dict(fields)
        self.code = str(fields.get("code", ""))
        self.title = str(fields.get("title", ""))
        self.detail = str(fields.get("detail", ""))
        #: The path of the request.
        self.instance = str(fields.get("instance", ""))
        #: Seconds after which the server wants to be asked again.
        self.retry_after = retry_after
        super().__init__(status, fields, retry_after)

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}" if self.code else f"{self.status}: {self.detail}"


class WaitTimeoutError(SerinError, TimeoutError):
    """The rollout has no verdict yet when the time to wait is over."""


class ApprovalNeededError(SerinError):
    """The rollout goes on only after a person approves it: `Client.resume()`, or `Client.rollback()` to end it."""


class ServerError(SerinError):
    """A server that this package runs did not start, or ended by itself. `log` has its last lines."""

    def __init__(self, message: str, log: str = "") -> None:
        self.log = log
        super().__init__(f"{message}\n{log}" if log else message)


class BinaryError(SerinError, FileNotFoundError):
    """The serin binary cannot be found."""

    def __str__(self) -> str:
        return str(self.args[0])


class ExportError(SerinError, ValueError):
    """Why a model cannot be exported, and what to do."""
