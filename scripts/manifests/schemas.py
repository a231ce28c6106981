"""Whether objects have the fields and types of their kind, in the oldest and the newest Kubernetes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from . import tools

#: The oldest has ReadWriteOncePod as a stable feature (1.29).
VERSIONS = ("1.29.0", "1.37.0")

#: Foreign kinds, whose schemas are in schemas/; trim.py writes them.
FOREIGN = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "http-route",
    ("monitoring.coreos.com/v1", "PrometheusRule"): "prometheus-rule",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "service-monitor",
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): "serving-runtime",
    ("serving.kserve.io/v1beta1", "InferenceService"): "inference-service",
}

DEFINITIONS = "/api/_definitions.json"


def problems(found: dict[str, Any]) -> list[str]:
    """What is wrong with the fields of an object."""
    where = f"{found.get('kind')} {found.get('metadata', {}).get('name')}"
    wrong = []
    for version in VERSIONS:
        for error in validator(version, found.get("apiVersion", ""), found.get("kind", "")).iter_errors(found):
            path = "/".join(map(str, error.instance_path))
            wrong.append(f"{where}, {path or 'top'}: {error.message} (Kubernetes {version[:-2]})")
    return wrong


@cache
def validator(version: str, api: str, kind: str) -> Any:
    if (api, kind) in FOREIGN:
        schema = json.loads((tools.HERE / f"schemas/{FOREIGN[api, kind]}.json").read_text())
    else:
        group, _, version_of_kind = api.rpartition("/")
        short = f"{group.split('.')[0]}-{version_of_kind}" if group else version_of_kind
        schema = json.loads(tools.schema_text(version, f"{kind.lower()}-{short}"))
    # Without its own address, so that references are looked up in the registry.
    schema = {key: value for key, value in schema.items() if key not in ("$id", "$schema", "id")}
    return jsonschema_rs.Draft202012Validator(schema, base_uri=f"file:///api/{kind}.json", registry=registry(version))


@cache
def registry(version: str) -> Any:
    definitions = json.loads(tools.schema_text(version, "_definitions"))
    # The registry knows it by the address to which the references lead.
    definitions["$id"] = f"file://{DEFINITIONS}"
    return jsonschema_rs.Registry([(f"file://{DEFINITIONS}", definitions)])
