"""What kustomize and helm make of deploy/, and where the two differ."""

from __future__ import annotations

import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from . import tools
from .failed import Failed

Object = dict[str, Any]

DEPLOY = tools.ROOT / "deploy"
BASE = "deploy/kustomize/base"
SQLITE = "deploy/kustomize/overlays/sqlite"
COMPONENTS = "deploy/kustomize/components"
CHART = "deploy/helm/serin"
RELEASE = "serin"

#: What helm has and kustomize has not: labels and annotations that name the release and the settings.
ONLY_HELM = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
    "checksum/settings",
}
#: What kustomize has in their place: a hash in the name of the settings.
HASH = re.compile(r"^(serin-settings)-[0-9a-z]{10}$")

#: The same choice for both: the kustomization, its components, and the values of the chart.
PAIRS: list[tuple[str, list[str], list[str]]] = [
    (BASE, [], []),
    (SQLITE, [], ["sqlite.enabled=true"]),
    (BASE, ["models-claim"], ["modelsClaim=serin-models"]),
    (SQLITE, ["models-claim"], ["sqlite.enabled=true", "modelsClaim=serin-models"]),
    (BASE, ["autoscaling", "service-monitor"], ["autoscaling.maxReplicas=10", "serviceMonitor.enabled=true"]),
]


class Strict(yaml.CSafeLoader):
    """YAML in which no key stands twice."""


def mapping(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise Failed(f"{node.start_mark}: {', '.join(map(str, twice))} stands twice")
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def objects(text: str) -> list[Object]:
    return [found for found in yaml.load_all(text, Loader=Strict) if found is not None]


@cache
def built(folder: str) -> str:
    return tools.run("kubectl", "kustomize", folder)


def with_components(folder: str, components: list[str]) -> list[Object]:
    """The objects of a kustomization with components, which are folders."""
    if not components:
        return objects(built(folder))
    tools.packages()
    with tempfile.TemporaryDirectory(dir=tools.FOLDER) as name:
        here = Path(name)
        paths = [os.path.relpath(tools.ROOT / path, here) for path in [folder, *components]]
        overlay = {"kind": "Kustomization", "resources": paths[:1], "components": paths[1:]}
        (here / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        return objects(tools.run("kubectl", "kustomize", name))


def component(name: str) -> str:
    return f"{COMPONENTS}/{name}"


def templated(values: list[str], release: str = RELEASE) -> list[Object]:
    sets = [part for value in values for part in ("--set", value)]
    return objects(tools.run("helm", "template", release, CHART, *sets))


def without(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: without(part) for key, part in value.items() if key not in ONLY_HELM}
        return {key: part for key, part in inner.items() if part not in ({}, [], None)}
    if isinstance(value, list):
        return [without(part) for part in value]
    if isinstance(value, str) and (hashed := HASH.match(value)):
        return hashed.group(1)
    return value


def identity(found: Object) -> str:
    return f"{found['kind']} {without(found)['metadata']['name']}"


def differences(ours: list[Object], helms: list[Object]) -> list[str]:
    """Where the objects of kustomize and of helm differ, object by object."""
    left, right = ({identity(found): without(found) for found in side} for side in (ours, helms))
    wrong = [f"{name} is missing in the chart" for name in left.keys() - right.keys()]
    wrong += [f"{name} is only in the chart" for name in right.keys() - left.keys()]
    for name in left.keys() & right.keys():
        wrong += [f"{name}{place}" for place in unequal(left[name], right[name])]
    return sorted(wrong)


def unequal(left: Any, right: Any, path: str = "") -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [found for key in keys for found in unequal(left.get(key), right.get(key), f"{path}, {key}")]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        parts = enumerate(zip(left, right, strict=True))
        return [found for number, pair in parts for found in unequal(*pair, f"{path}, {number}")]
    return [] if left == right else [f"{path}: {left!r} by kustomize, {right!r} by helm"]
