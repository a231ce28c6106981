#!/usr/bin/env python3
"""Writes the schema of a foreign kind in schemas/ from its CustomResourceDefinition.

Descriptions, defaults and the status are left out. What the definition repeats of the Pod becomes a reference to the
schemas of Kubernetes, and `--without` leaves out fields that nothing here uses: they count as unknown.

    git show v0.93.0:example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml |
      .venv/bin/python scripts/manifests/trim.py --source 'prometheus-operator v0.93.0' \\
        > scripts/manifests/schemas/service-monitor.json
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import yaml

#: Keywords that say which values are valid. x-kubernetes-validations (expressions in CEL) are not checked.
KEPT = {
    *["additionalProperties", "allOf", "anyOf", "enum", "exclusiveMaximum", "exclusiveMinimum", "items", "maxItems"],
    *["maxLength", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf"],
    *["pattern", "properties", "required", "type", "uniqueItems"],
    *["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"],
}

#: Fields of Pods and containers, with the name of their type.
OF_PODS = {
    "affinity": "Affinity",
    "containers": "[Container]",
    "env": "[EnvVar]",
    "envFrom": "[EnvFromSource]",
    "imagePullSecrets": "[LocalObjectReference]",
    "initContainers": "[Container]",
    "lifecycle": "Lifecycle",
    "livenessProbe": "Probe",
    "ports": "[ContainerPort]",
    "readinessProbe": "Probe",
    "resources": "ResourceRequirements",
    "startupProbe": "Probe",
    "tolerations": "[Toleration]",
    "volumeDevices": "[VolumeDevice]",
    "volumeMounts": "[VolumeMount]",
    "volumes": "[Volume]",
}


def trimmed(schema: dict[str, Any], without: set[str], of_pods: bool) -> dict[str, Any]:
    """The schema, in which an unknown field is an error, as for kubectl."""
    kept = {key: value for key, value in schema.items() if key in KEPT}
    if kept.pop("x-kubernetes-int-or-string", False):
        return {"type": ["integer", "string"]}
    preserves = kept.pop("x-kubernetes-preserve-unknown-fields", False)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in kept:
            kept[key] = [{k: v for k, v in part.items() if k in KEPT} for part in kept[key]]
    if isinstance(kept.get("items"), dict):
        kept["items"] = trimmed(kept["items"], without, of_pods)
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = trimmed(kept["additionalProperties"], without, of_pods)
    if "properties" in kept:
        kept["properties"] = {
            name: reference(OF_PODS[name]) if of_pods and name in OF_PODS else trimmed(field, without, of_pods)
            for name, field in kept["properties"].items()
            if name not in without
        }
        if not preserves:
            kept.setdefault("additionalProperties", False)
    return kept


def reference(kind: str) -> dict[str, Any]:
    if kind.startswith("["):
        return {"type": "array", "items": reference(kind.strip("[]"))}
    return {"$ref": f"/api/_definitions.json#/$defs/io.k8s.api.core.v1.{kind}"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the schema of a CustomResourceDefinition.")
    parser.add_argument("--source", required=True, help="project and version, for the reader")
    parser.add_argument("--without", default="", help="fields to leave out, with commas")
    parser.add_argument("--of-pods", action="store_true", help="take fields of Pods from the schemas of Kubernetes")
    given = parser.parse_args()
    definition = yaml.safe_load(sys.stdin)["spec"]
    [version] = [version for version in definition["versions"] if version["storage"]]
    schema = trimmed(
        version["schema"]["openAPIV3Schema"], {"status", *filter(None, given.without.split(","))}, given.of_pods
    )
    api = f"{definition['group']}/{version['name']}"
    schema["properties"]["apiVersion"] = {"const": api}
    schema["properties"]["kind"] = {"const": definition["names"]["kind"]}
    schema["properties"]["metadata"] = {
        "$ref": "/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    }
    schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind", "metadata", "spec"} - {"status"})
    comment = f"Of {given.source}, Apache-2.0, shortened by scripts/manifests/trim.py."
    json.dump({"$comment": comment, **schema}, sys.stdout, indent=None, separators=(", ", ": "))
    print()


if __name__ == "__main__":
    main()
