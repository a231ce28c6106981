"""How requests travel: connections, repetitions, errors."""

from __future__ import annotations

import json
import socket
import time

import pytest
from serin import Client
from serin import NoAnswerError
from serin import ProblemError

COUNTS = (200, {}, b'{"baseline":0,"canary":0,"metrics":{}}')
BUSY = (503, {"Content-Type": "application/problem+json", "Retry-After": "0"}, b'{"code":"overloaded","detail":"busy"}')


def test_requests_share_a_connection(scripted):
    server = scripted(COUNTS, COUNTS, COUNTS)
    client = Client(server.url)
    for _ in range(3):
        client.recorded()
    assert len(set(server.ports)) == 1


def test_a_connection_that_the_server_closed_is_not_used_again(scripted):
    # Without `Connection: close` the client cannot know, as after the idle time of a server.
    server = scripted(COUNTS, COUNTS)
    client = Client(server.url, retries=0)
    client.recorded()
    [(_, connection)] = client._http._idle
    connection.sock.shutdown(socket.SHUT_RDWR)
    client.recorded()
    assert len(set(server.ports)) == 2


def test_a_question_is_repeated_and_a_command_is_not(scripted):
    server = scripted(None, BUSY, COUNTS)
    assert Client(server.url).recorded()["baseline"] == 0
    assert len(server.requests) == 3
    server = scripted(BUSY, BUSY)
    with pytest.raises(ProblemError) as problem:
        Client(server.url).reset()
    assert (problem.value.code, problem.value.retry_after) == ("overloaded", 0.0)
    assert len(server.requests) == 1
    server = scripted(None, None)
    with pytest.raises(NoAnswerError):
        Client(server.url).predict({"x": 1})
    assert len(server.requests) == 1


def test_a_question_is_repeated_only_so_often(scripted):
    server = scripted(BUSY, BUSY, BUSY, BUSY)
    with pytest.raises(ProblemError, match="503 overloaded: busy"):
        Client(server.url, retries=2).recorded()
    assert len(server.requests) == 3


def test_a_refusal_is_an_error_with_its_code_and_all_fields(scripted):
    fields = {"code": "quarantined", "status": 409, "title": "Not now", "detail": "no", "instance": "/x", "new": [1]}
    server = scripted((409, {"Content-Type": "application/problem+json"}, json.dumps(fields).encode()))
    with pytest.raises(ProblemError) as caught:
        Client(server.url).status()
    problem = caught.value
    assert (problem.code, problem.status, problem.detail, problem.instance) == ("quarantined", 409, "no", "/x")
    assert problem.fields == fields
    assert len(server.requests) == 1, "a refusal is final"


def test_an_answer_that_is_not_from_serin_is_shown(scripted):
    server = scripted((502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"))
    with pytest.raises(ProblemError, match="502: <h1>Bad Gateway</h1>"):
        Client(server.url).status()


def test_without_a_server_the_error_says_what_to_do():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NoAnswerError, match="is the server running"):
        Client(url, retries=0).status()
    assert issubclass(NoAnswerError, ConnectionError)


def test_a_server_that_hangs_is_an_error_after_the_timeout():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2, retries=0)
        start = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
            client.status()
        assert time.monotonic() - start < 5


def test_the_token_and_the_address_come_from_the_environment(scripted, monkeypatch):
    server = scripted(COUNTS, COUNTS)
    monkeypatch.setenv("SERIN_URL", server.url)
    monkeypatch.setenv("SERIN_ADMIN_TOKEN", "sixteen-letters-or-more")
    Client().recorded()
    Client(token="").recorded()
    sent = [headers.get("Authorization") for _, _, headers, _ in server.requests]
    assert sent == ["Bearer sixteen-letters-or-more", None]


def test_a_path_in_the_address_comes_before_each_route(scripted):
    server = scripted(COUNTS)
    Client(f"{server.url}/churn/").recorded()
    assert server.requests[0][1] == "/churn/status"


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host/?x=1", "http://me:secret@host"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="url: ") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


def test_a_command_names_the_revision_that_it_expects(demo):
    with pytest.raises(ProblemError) as caught:
        demo.client.deploy("model_v2.bin", if_revision=999)
    assert (caught.value.status, caught.value.code) == (412, "revision_changed")
