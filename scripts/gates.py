#!/usr/bin/env python3
"""The recipes of deploy/flagger and deploy/argo-rollouts do what they say, against a real serin.

Each webhook and each measurement of the recipes is sent as Flagger and Argo Rollouts send it, with its own path, metadata,
headers, JSONPath and conditions, to a serin without a canary, with a healthy one and with a harmful one. What is
compared with the expected answer is what the controller would make of it. Fields that the controllers do not know show
in their schemas: with --schemas FOLDER, a checkout of both repositories' resource definitions (crd.yaml of Flagger,
analysis-template-crd.yaml and rollout-crd.yaml of Argo Rollouts), each recipe is checked for them.

    .venv/bin/python scripts/gates.py --serin target/debug/serin
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))

import serin  # noqa: E402

FLAGGER, ARGO = ROOT / "deploy/flagger", ROOT / "deploy/argo-rollouts"
HOST = "http://serin.models:8000"
TOKEN = "reads-metrics-and-verdicts"
VERSION = "model_v2"
CUSTOMER = [0.5, 1.2, 0.8, 0.3, 1.1]

#: Whether Flagger goes on, by the type of the hook and `hold`: without a verdict, healthy, harmful.
GOES_ON = {
    ("confirm-promotion", "no"): (False, True, False),
    ("confirm-traffic-increase", "yes"): (True, True, False),
    ("event", "no"): (True, True, True),
}
ROLLS_BACK = (False, False, True)
#: What Argo Rollouts makes of a measurement: Inconclusive, Successful, Failed.
PHASES = ("Inconclusive", "Successful", "Failed")


class Failed(Exception):
    """A recipe that does not do what it says."""


def check(is_so: Any, message: str) -> None:
    if not is_so:
        raise Failed(message)


def documents(folder: Path) -> Iterator[Any]:
    for file in sorted(folder.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def send(url: str, method: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data=data, method=method, headers={**sent, **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def webhooks() -> list[Any]:
    return [hook for canary in documents(FLAGGER) for hook in canary["spec"]["analysis"]["webhooks"]]


def call(hook: Any, url: str) -> bool:
    """Whether Flagger takes the answer for a yes."""
    check(hook["url"].startswith(HOST), f"{hook['url']} is not at {HOST}")
    metadata = {**hook["metadata"], "token": TOKEN}
    check(all(isinstance(value, str) for value in metadata.values()), f"{metadata}: Flagger's metadata are strings")
    if hook["type"] == "event":
        metadata = {"eventMessage": "New revision detected!", "eventType": "Normal", "timestamp": "1", **metadata}
    payload = {"name": "shop", "namespace": "shop", "phase": "Progressing", "checksum": "1", "metadata": metadata}
    status, body = send(hook["url"].replace(HOST, url), "POST", payload)
    check(status in (200, 409), f"{hook['name']}: {status} {body}")
    check(len(body.splitlines()) == 1, f"{hook['name']}: Flagger prints this as one line: {body}")
    return status <= 202


def check_flagger(url: str, state: int) -> None:
    for hook in webhooks():
        yes = call(hook, url)
        kind, hold = hook["type"], hook["metadata"].get("hold", "no")
        expected = ROLLS_BACK[state] if kind == "rollback" else GOES_ON[kind, hold][state]
        check(yes == expected, f"{hook['name']}: yes is {yes} in state {state}")


def metrics(name: str) -> list[Any]:
    templates = [one for one in documents(ARGO) if one["kind"] == "AnalysisTemplate"]
    return [metric for one in templates if one["metadata"]["name"] == name for metric in one["spec"]["metrics"]]


def at(document: Any, path: str) -> Any:
    """What a JSONPath of names finds."""
    names = re.fullmatch(r"\{\$((?:\.\w+)+)\}", path)
    check(names, f"{path} is not a path of names")
    for name in (names[1] if names else "").strip(".").split("."):
        document = document[name]
    return document


def is_true(condition: str, result: Any) -> bool:
    word = re.fullmatch(r'result == "(\w+)"', condition)
    check(word, f"{condition} does not compare the result with a word")
    return bool(word and result == word[1])


def phase(metric: Any, url: str) -> str:
    """What Argo Rollouts makes of one measurement."""
    web = metric["provider"]["web"]
    filled = {"version": VERSION, "token": TOKEN}

    def fill(text: str) -> str:
        return re.sub(r"\{\{\s*args\.(\w+)\s*\}\}", lambda found: filled[found[1]], text)

    check(web["url"].startswith(HOST), f"{web['url']} is not at {HOST}")
    headers = {one["key"]: fill(one["value"]) for one in web.get("headers", [])}
    target = fill(web["url"]).replace(HOST, url)
    status, body = send(target, web.get("method", "GET"), web.get("jsonBody"), headers)
    check(200 <= status < 300, f"{metric['name']}: {status} {body} is an error, not a measurement")
    result = at(json.loads(body, parse_constant=lambda word: check(False, f"{word} is not JSON")), web["jsonPath"])
    if is_true(metric["failureCondition"], result):
        return "Failed"
    return "Successful" if is_true(metric["successCondition"], result) else "Inconclusive"


def check_argo(url: str, state: int) -> None:
    for metric in metrics("serin-verdict"):
        check(metric["inconclusiveLimit"] >= metric["count"], "an open verdict would end the run")
        got = phase(metric, url)
        check(got == PHASES[state], f"{metric['name']}: {got} in state {state}")


def check_recorded(client: serin.Client, url: str) -> None:
    """No values, equal ones, and a slower canary."""
    (metric,) = metrics("serin-recorded-values")
    for state, slower in enumerate([None, 0.0, 20.0]):
        client.reset()
        for number in range(600 if slower is not None else 0):
            latency = 100.0 + number % 10
            client.record("baseline", latency, metric="latency_ms")
            client.record("canary", latency + (slower or 0.0), metric="latency_ms")
        got = phase(metric, url)
        check(got == PHASES[state], f"recorded values: {got} where the canary is slower by {slower}")


def check_templates_exist() -> None:
    """Steps name templates of the recipes, with the arguments that these take."""
    templates = {one["metadata"]["name"]: one["spec"] for one in documents(ARGO) if one["kind"] == "AnalysisTemplate"}
    rollouts = [one for one in documents(ARGO) if one["kind"] == "Rollout"]
    for step in (step for one in rollouts for step in one["spec"]["strategy"]["canary"]["steps"]):
        for named in step.get("analysis", {}).get("templates", []):
            check(named["templateName"] in templates, f"{named} is not in {ARGO}")
            taken = [one["name"] for one in templates[named["templateName"]]["args"] if "valueFrom" not in one]
            check(taken == [one["name"] for one in step["analysis"]["args"]], f"{named} takes {taken}")


def settle(client: serin.Client) -> None:
    for _ in range(300):
        client.predict([CUSTOMER])
    # The next tick, one a second, takes them in.
    time.sleep(1.5)


def check_states(client: serin.Client, url: str) -> None:
    client.deploy(f"{VERSION}.bin", bake="0s")
    check_flagger(url, 0)
    check_argo(url, 0)
    settle(client)
    check_flagger(url, 1)
    check_argo(url, 1)
    client.slow_down(5)
    settle(client)
    check_flagger(url, 2)
    check_argo(url, 2)


def check_schemas(folder: Path) -> None:
    """Every field of a recipe is one that its controller knows."""
    schemas = {}
    for file in folder.glob("*.yaml"):
        for one in yaml.safe_load_all(file.read_text()):
            if one and one["kind"] == "CustomResourceDefinition":
                for version in one["spec"]["versions"]:
                    name = f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"]
                    schemas[name] = version["schema"]["openAPIV3Schema"]
    for one in [*documents(FLAGGER), *documents(ARGO)]:
        known(one, schemas[one["apiVersion"], one["kind"]], one["kind"])
    print(f"gates: every field of the recipes is in the schemas of {folder}", flush=True)


def known(value: Any, schema: Any, path: str) -> None:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    expected = schema.get("type")
    is_int_or_string = schema.get("x-kubernetes-int-or-string") and isinstance(value, int | str)
    check(expected is None or is_int_or_string or isinstance(value, kinds[expected]), f"{path}: {value!r} is no {expected}")
    check("enum" not in schema or value in schema["enum"], f"{path}: {value!r} is not in {schema.get('enum')}")
    if isinstance(value, dict):
        for name in schema.get("required", []):
            check(name in value, f"{path}: {name} is missing")
        for name, inner in value.items():
            within = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if path in ("Canary", "AnalysisTemplate", "Rollout") and name == "metadata":
                continue
            check(within is not None, f"{path}.{name} is unknown")
            if isinstance(within, dict):
                known(inner, within, f"{path}.{name}")
    for number, inner in enumerate(value if isinstance(value, list) else []):
        known(inner, schema["items"], f"{path}[{number}]")


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the recipes for Flagger and Argo Rollouts.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    parser.add_argument("--schemas", metavar="FOLDER", type=Path)
    given = parser.parse_args()
    os.environ["SERIN_BINARY"] = str(given.serin.resolve())
    try:
        if given.schemas:
            check_schemas(given.schemas)
        check_templates_exist()
        with serin.Server(token="the-token-that-promotes", settings={"metrics_token": TOKEN}) as server:
            check_states(server.client, server.url)
            check_recorded(server.client, server.url)
    except Failed as failed:
        print(f"gates: {failed}", file=sys.stderr)
        return 1
    print(f"gates: {len(webhooks())} webhooks and 2 templates do what they say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
