#!/usr/bin/env python3
"""A real Prometheus scrapes serin through a promotion and a rollback, with the rules of deploy/.

Every expression of the dashboard, of the recording rules and of docs/monitoring.md must return data, every series that
an alert reads must be there, the alerts of a rollback must fire, and no counter may fall. Then 100,000 requests with
random paths, methods, ids and versions must leave the number of series unchanged. promtool checks the metrics, the
rules and their tests. Prometheus is the installed one, or Debian's, unpacked into target/prometheus. Then serin judges a
service that it does not serve by what this Prometheus has of it: see monitoring_queries.py.

    .venv/bin/python scripts/monitoring.py --serin target/debug/serin
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

import serin  # noqa: E402
from monitoring_queries import Service, judged_by_queries  # noqa: E402

DEPLOY = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/serin.json"
PAGE = ROOT / "docs/monitoring.md"

# Steps of some seconds, so that several scrapes see each.
PLAN = {
    "steps": [{"weight": 0, "bake": "4s"}, {"weight": 20, "bake": "4s"}, {"weight": 50, "bake": "4s"}],
    "warm_up": "0s",
    "min_samples": 50,
    "look": "100ms",
    "deadline": "150s",
}
RANDOM_REQUESTS = 100_000
PIPELINED = 250

#: What stands for the variables of Grafana.
VARIABLES = {"$__rate_interval": "10s", "$instance": ".+", "$metric": ".+"}

#: What a canary that fails sets off.
ALERTS_THAT_FIRE = {"SerinRolledBack", "SerinBreakerOpened"}


class Failed(Exception):
    """A check that failed."""


def check(is_so: Any, message: str) -> None:
    if not is_so:
        raise Failed(message)


def run(*command: str | Path, given: str | None = None, cwd: Path | None = None) -> str:
    ended = subprocess.run([str(part) for part in command], input=given, capture_output=True, text=True, cwd=cwd)
    check(ended.returncode == 0, f"{' '.join(map(str, command))}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def scrape(url: str, accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"{url}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def series_of(text: str) -> set[str]:
    return {line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")}


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as refused:
            raise Failed(f"{parameters}: {refused.read().decode()}") from refused

    def over(self, expression: str, start: float, end: float) -> list[Any]:
        """The series of an expression over this time."""
        found: list[Any] = self.ask("query_range", query=expression, start=start, end=end, step=1)["result"]
        # "NaN" is the quantile of nothing.
        return [one for one in found if any(value != "NaN" for _, value in one["values"])]

    def samples(self, selector: str, seconds: int) -> list[Any]:
        result: list[Any] = self.ask("query", query=f"{selector}[{seconds}s]")["result"]
        return result


@contextmanager
def prometheus(programs: Path, folder: Path, target: str, every: str = "1s") -> Iterator[Prometheus]:
    """A Prometheus that scrapes this address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rules = [str(DEPLOY / name) for name in ("serin.rules.yml", "serin.alerts.yml")]
    scraped = {"job_name": "serin", "static_configs": [{"targets": [target]}]}
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": "1s"},
        "rule_files": rules,
        "scrape_configs": [scraped],
    }
    # JSON is YAML, too.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = [programs / "prometheus", f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    url, log = f"http://127.0.0.1:{port}", folder / "prometheus.log"
    with log.open("w") as to:
        process = subprocess.Popen([str(part) for part in command], stdout=to, stderr=to, cwd=folder)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=2).read()
                break
            except OSError:
                check(process.poll() is None and time.monotonic() < end, f"prometheus: {log.read_text()[-2000:]}")
                time.sleep(0.1)
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(timeout=20)


def rollouts(server: serin.Server) -> None:
    """A promotion and a rollback, both by plan."""
    client = server.client
    draws = random.Random(15)
    rows = [[draws.gauss(0.5, 0.4) for _ in range(5)] for _ in range(500)]
    with serin.Traffic(client, rows, per_second=300) as traffic:
        time.sleep(3)
        client.deploy("model_v2.bin", plan=PLAN)
        ended = client.wait(timeout=170)
        check(ended.outcome == "promoted", f"the healthy canary: {ended}")
        print("monitoring: a canary was promoted", flush=True)
        time.sleep(3)
        client.deploy("model_v1.bin", plan={**PLAN, "steps": [{"weight": 30, "bake": "60s"}]})
        time.sleep(4)
        client.inject(error_rate=1.0)
        ended = client.wait(timeout=60)
        check(ended.outcome == "rolled_back", f"the failing canary: {ended}")
        print("monitoring: a canary was rolled back", flush=True)
        time.sleep(4)
    check(traffic.failed == 0, f"{traffic.failed} predictions failed: {traffic.errors}")


def dashboard_expressions() -> dict[str, str]:
    """Every expression of the dashboard, by the panel that shows it."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            found[f"panel {panel['title']!r} {target['refId']}"] = target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        found[f"annotation {annotation['name']!r}"] = annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if asked := re.fullmatch(r"label_values\((.+), \w+\)", variable.get("definition", "")):
            found[f"variable {variable['name']!r}"] = asked[1]
    check(len(found) > 40, f"only {len(found)} expressions in {DASHBOARD}")
    return found


def docs_expressions() -> dict[str, str]:
    blocks = re.findall(r"^```promql\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    check(blocks, f"no expression in {PAGE}")
    return {f"docs: {block.splitlines()[0]}": block for block in blocks}


def check_expressions(asked: Prometheus, start: float, end: float) -> None:
    groups = asked.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    unhealthy = [rule for rule in rules if rule["health"] != "ok"]
    check(not unhealthy, f"rules: {unhealthy}")
    recorded = [rule for rule in rules if rule["type"] == "recording"]
    expressions = {**dashboard_expressions(), **docs_expressions()}
    expressions.update({f"rule {rule['name']}": rule["query"] for rule in recorded})
    expressions.update({f"recorded {rule['name']}": rule["name"] for rule in recorded})
    for rule in rules:
        if rule["type"] == "alerting":
            # Most alerts must not fire here, so each series that they read has to be there.
            for selector in re.findall(r"\b(?:serin_\w+|\w+:serin_\w+:\w+|up)\b(?:\{[^}]*\})?", rule["query"]):
                expressions[f"alert {rule['name']}: {selector}"] = selector
    empty = []
    for name, expression in expressions.items():
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        if not asked.over(expression, start, end):
            empty.append(f"{name}: {expression}")
    check(not empty, "without data:\n  " + "\n  ".join(empty))
    print(f"monitoring: {len(expressions)} expressions return data", flush=True)
    fired = {one["metric"]["alertname"] for one in asked.over('ALERTS{alertstate="firing"}', start, end)}
    check(fired >= ALERTS_THAT_FIRE, f"these alerts fired: {fired}, expected {ALERTS_THAT_FIRE}")
    check(fired <= ALERTS_THAT_FIRE | {"SerinHarmFound"}, f"these alerts should not fire: {fired}")


def check_counters(asked: Prometheus, seconds: int) -> None:
    """No counter falls, and each is there from the first scrape to the last."""
    counters = asked.samples('{__name__=~"serin_.+_(total|bucket|sum|count)"}', seconds)
    check(len(counters) > 90, f"only {len(counters)} counters")
    # A busy machine may be late once.
    scrapes = sum(value == "1" for _, value in asked.samples("up", seconds)[0]["values"])
    for one in counters:
        values = [float(value) for _, value in one["values"]]
        check(len(values) == scrapes, f"{one['metric']}: {len(values)} values in {scrapes} scrapes")
        falls = [(before, after) for before, after in zip(values, values[1:]) if after < before]
        check(not falls, f"{one['metric']} fell: {falls}")
    print(f"monitoring: none of {len(counters)} counters fell over {scrapes} scrapes", flush=True)


def check_formats(promtool: Path, url: str) -> None:
    text, open_metrics = scrape(url), scrape(url, "application/openmetrics-text;version=1.0.0")
    run(promtool, "check", "metrics", given=text)
    check(open_metrics.endswith("# EOF\n"), "OpenMetrics ends with # EOF")
    check(series_of(text) == series_of(open_metrics), "both formats have the same series")


def random_request(draws: random.Random) -> bytes:
    """A request with a random path, method, version, key or id."""
    word = "".join(draws.choices("abcdefghijklmnopqrstuvwxyz0123456789_-.~%22{}", k=draws.randint(1, 20)))
    word = urllib.parse.quote(word)
    kind, body = draws.randrange(6), b""
    if kind == 0:
        line = f"GET /{word}"
    elif kind == 1:
        line = f"{''.join(draws.choices('ABCDEFGHIJKLMNOPQRSTUVWXYZ', k=6))} /predict"
    elif kind == 2:
        line, body = "POST /predict", f'{{"features": [0, 0, 0, 0, 0], "key": "{word}", "id": "{word}"}}'.encode()
    elif kind == 3:
        line, body = "POST /feedback", f'{{"prediction_id": "{word}", "outcome": 1}}'.encode()
    elif kind == 4:
        line, body = "POST /record", f'{{"version": "{word}", "score": 0.5}}'.encode()
    else:
        line = f"GET /admin/models/{word}?version={word}"
    head = f"{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: {word}\r\nx-request-id: {word}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def check_random_requests(server: serin.Server) -> None:
    """Random requests leave the series as they are."""
    client, draws = server.client, random.Random(16)
    host, port = urllib.parse.urlsplit(server.url).netloc.split(":")
    client.deploy("model_v1.bin", traffic_percent=50, override_quarantine=True, reason="the same requests")
    before = labels_of(scrape(server.url))
    answered = 0
    for _ in range(RANDOM_REQUESTS // PIPELINED):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            sent = b"".join(random_request(draws) for _ in range(PIPELINED))
            last = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
            connection.sendall(sent + last)
            received = b""
            while chunk := connection.recv(1 << 16):
                received += chunk
            answered += received.count(b"HTTP/1.1 ")
    expected = RANDOM_REQUESTS + RANDOM_REQUESTS // PIPELINED
    check(answered == expected, f"{answered} of {expected} random requests were answered")
    after = labels_of(scrape(server.url))
    check(after == before, f"random requests changed the series: {sorted(before ^ after)[:20]}")
    print(f"monitoring: {RANDOM_REQUESTS} random requests changed none of {len(after)} series", flush=True)


def labels_of(text: str) -> set[str]:
    """The series, without those that depend on the evidence that the judge has so far."""
    said = re.compile(r"serin_judge_(difference|interval|limit|stable_mean|score)\b|serin_canary_traffic_ratio")
    return {one for one in series_of(text) if not said.match(one)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Scrape serin with a real Prometheus.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    os.environ["SERIN_BINARY"] = str(parser.parse_args().serin.resolve())
    try:
        programs = Path(run(ROOT / "scripts/prometheus.sh").strip())
        promtool = programs / "promtool"
        rules = [DEPLOY / "serin.rules.yml", DEPLOY / "serin.alerts.yml"]
        run(promtool, "check", "rules", "--lint-fatal", *rules)
        run(promtool, "check", "config", DEPLOY / "prometheus.yml")
        run(promtool, "test", "rules", DEPLOY / "serin.test.yml", cwd=DEPLOY)
        print("monitoring: rules, alerts and their tests pass", flush=True)
        with tempfile.TemporaryDirectory(prefix="serin-monitoring-") as name:
            folder = Path(name)
            with serin.Server(store=f"sqlite:{folder / 'serin.db'}") as server:
                with prometheus(programs, folder, urllib.parse.urlsplit(server.url).netloc) as asked:
                    start = time.time()
                    check_formats(promtool, server.url)
                    rollouts(server)
                    check_formats(promtool, server.url)
                    end = time.time()
                    check_expressions(asked, start, end)
                    check_counters(asked, round(end - start) + 5)
                    slowest = asked.over("max_over_time(scrape_duration_seconds[5m])", start, end)
                    seconds = max(float(value) for _, value in slowest[0]["values"])
                    print(f"monitoring: the slowest scrape took {seconds * 1e3:.1f} ms with this binary", flush=True)
                check_random_requests(server)
        with tempfile.TemporaryDirectory(prefix="serin-monitoring-") as name:
            folder, service = Path(name), Service()
            with service.exported() as target, prometheus(programs, folder, target, every="200ms") as asked:
                judged_by_queries(check, asked.url, service, folder)
    except Failed as failed:
        print(f"monitoring: {failed}", file=sys.stderr)
        return 1
    print("monitoring: everything is as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
