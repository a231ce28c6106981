"""Rollouts of a service that serin does not serve, judged by what a real Prometheus has of it.

An exporter stands for the service: it has counters of two tracks, in one case of equal ones and in one of a canary that
is slower. serin is asked to judge both cases by a query, without a request of its own: the healthy canary must be
promoted and the harmful one rolled back. Every request that the exporter has counted is also written into a file, and
`serin analyze` must come to the same verdict from these raw values, and from the query over the same time. `serin
replay` must recompute every verdict.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import serin

#: Seconds of a request on average, by case and track.
CASES = {"healthy": {"v1": 0.050, "v2": 0.050}, "harmful": {"v1": 0.050, "v2": 0.065}}
DECISIONS = {"healthy": ("promoted", 0), "harmful": ("rolled_back", 1)}
REQUESTS_PER_SECOND = 400

QUERY = (
    'sum(rate(app_request_seconds_sum{case="%s",version="$track"}[1s]))'
    ' / sum(rate(app_request_seconds_count{case="%s",version="$track"}[1s]))'
)
PLAN = {
    "steps": [{"weight": 50, "bake": "5s"}],
    "warm_up": "0s",
    "look": "200ms",
    "deadline": "150s",
}


class Service:
    """Counters of a service with two versions, which go on as time passes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.draws = random.Random(17)
        self.counted_to = time.monotonic()
        self.seconds: dict[tuple[str, str], list[float]] = {
            (case, version): [] for case, means in CASES.items() for version in means
        }

    def exposition(self) -> str:
        lines = ["# TYPE app_request_seconds summary"]
        with self.lock:
            now = time.monotonic()
            requests = round((now - self.counted_to) * REQUESTS_PER_SECOND)
            self.counted_to = now
            for (case, version), seconds in self.seconds.items():
                mean = CASES[case][version]
                seconds.extend(self.draws.gammavariate(4.0, mean / 4.0) for _ in range(requests))
                labels = f'{{case="{case}",version="{version}"}}'
                lines.append(f"app_request_seconds_sum{labels} {sum(seconds)}")
                lines.append(f"app_request_seconds_count{labels} {len(seconds)}")
        return "\n".join(lines) + "\n"

    @contextmanager
    def exported(self) -> Iterator[str]:
        """The address that Prometheus scrapes."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = service.exposition().encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()


#: The time that is compared.
ANALYZED_SECONDS = 50


def metric(case: str) -> dict[str, Any]:
    return {
        "name": "request_seconds",
        "source": "prometheus",
        "query": QUERY % (case, case),
        "tracks": {"stable": "v1", "canary": "v2"},
        "harm": "higher",
        "role": "guardrail",
    }


def judged_by_queries(check: Callable[[Any, str], None], prometheus: str, service: Service, folder: Path) -> None:
    """Both cases at the same time, each with a serin of its own."""
    begin = time.time()
    with ExitStack() as stack:
        servers = {}
        for case in CASES:
            settings = {"served_elsewhere": True, "prometheus": {"url": prometheus}, "metrics": [metric(case)]}
            store = f"sqlite:{folder / case}.db"
            servers[case] = stack.enter_context(serin.Server(store=store, settings=settings))
            servers[case].client.deploy("model_v2.bin", plan=PLAN)
        for case, server in servers.items():
            ended = server.client.wait(timeout=170)
            check(ended.outcome == DECISIONS[case][0], f"the {case} canary, by query: {ended}")
            with urllib.request.urlopen(f"{server.url}/admin/status", timeout=10) as answer:
                totals = json.loads(answer.read())["totals"]
            requests = totals["stable"]["requests"] + totals["canary"]["requests"]
            check(requests == 0, f"serin answered {requests} requests")
            print(f"monitoring: by query alone, the {case} canary was {ended.outcome}", flush=True)
    # A comparison takes 30 values of each track, one a second, and the first seconds have none.
    time.sleep(max(0.0, begin + ANALYZED_SECONDS - time.time()))
    binary = os.environ["SERIN_BINARY"]
    options = ["--lower-is-better", "--margin", "10%"]
    for case, (outcome, expected) in DECISIONS.items():
        with service.lock:
            files = []
            for version in CASES[case]:
                file = folder / f"{case}-{version}.txt"
                file.write_text("\n".join(map(repr, service.seconds[case, version])) + "\n")
                files.append(str(file))
        span = [f"--from={stamp(begin)}", f"--to={stamp(time.time())}"]
        over_time = ["--prometheus", prometheus, "--query", QUERY % (case, case), "--baseline", "v1", "--canary", "v2"]
        for given in (files, [*over_time, *span]):
            ended = subprocess.run([binary, "analyze", *given, *options, "--json"], capture_output=True, text=True)
            check(ended.returncode == expected, f"{case}, analyze {given}: {ended.stdout}{ended.stderr}")
        moments = json.loads(ended.stdout)["prometheus"]
        check(moments["moments"] - moments["left_out"] >= 20, f"{case}: {moments}")
        replay = subprocess.run(
            [binary, "replay", "--store", f"sqlite:{folder / case}.db"], capture_output=True, text=True
        )
        check(replay.returncode == 0, f"{case}, replay: {replay.stdout}{replay.stderr}")
        print(f"monitoring: raw values and serin analyze say the same of the {outcome} one", flush=True)


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
