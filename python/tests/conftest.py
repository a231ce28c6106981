"""What the tests share: the package of this checkout, one server for many tests, and scripted servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

import pytest
import serin

pytest_plugins = ["serin.testing", "pytester"]

#: A row of the demo models.
ROW = {
    "tenure_years": 0.5,
    "charge_ratio": 1.2,
    "usage_ratio": 0.8,
    "late_payment_share": 0.3,
    "support_calls": 1.1,
}


@pytest.fixture(scope="session")
def demo() -> Iterator[serin.Server]:
    """A server with the demo models, for tests that leave it without a canary."""
    with serin.Server() as server:
        yield server


class Scripted:
    """A server that gives one scripted answer after the other, and notes the requests."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes] | None) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        #: The port of the client of each request: the same for those that shared a connection.
        self.ports: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                outer.ports.append(self.client_address[1])
                scripted = outer.answers.pop(0)
                if scripted is None:
                    # No answer at all.
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, content = scripted
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scripted() -> Iterator[type[Scripted]]:
    """Makes scripted servers, and closes them."""
    made: list[Scripted] = []

    class Made(Scripted):
        def __init__(self, *answers: tuple[int, dict[str, str], bytes] | None) -> None:
            super().__init__(*answers)
            made.append(self)

    yield Made
    for server in made:
        server.close()
