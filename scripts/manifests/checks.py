"""Whether objects fit together, keep to the security rules, and fit serin: its routes, settings and version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import tomllib

from . import tools
from .rendered import Object

UID = 65532

#: Time to save and to end after the last request.
RESERVE_SECONDS = 5


def problems(objects: list[Object]) -> list[str]:
    """What is wrong with objects that are applied together."""
    wrong = [*references(objects)]
    for found in objects:
        wrong += [f"{found['kind']} {found['metadata']['name']}: {what}" for what in of_one(found)]
    return wrong


def of_one(found: Object) -> Iterator[str]:
    spec = found.get("spec", {})
    if found["kind"] in ("Deployment", "StatefulSet"):
        claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        yield from of_pod(spec["template"]["spec"], claims)
        yield from of_kind(found)
    elif found["kind"] == "ServingRuntime":
        # KServe makes the Pod, so each container has what else the Pod would have.
        yield from (what for container in spec["containers"] for what in of_container(container, {}))
        formats = spec["supportedModelFormats"]
        yield from (f"{f['name']} has autoSelect" for f in formats if f.get("autoSelect") is not False)
    elif found["kind"] == "HTTPRoute":
        for rule in spec["rules"]:
            backends = rule["backendRefs"]
            if len(backends) != 1 or "weight" in backends[0]:
                yield "a rule needs one backend without a weight, because serin splits the traffic"
            yield from (what for match in rule["matches"] for what in of_path(match["path"]))
    elif found["kind"] == "ServiceMonitor":
        yield from (f"{e['path']} is not a route" for e in spec["endpoints"] if e["path"] not in routes())


def of_kind(found: Object) -> Iterator[str]:
    """A file as a store needs one Pod at a time; several replicas need PostgreSQL."""
    spec = found["spec"]
    variables_of_it = spec["template"]["spec"]["containers"][0]["env"]
    sqlite = any(variable.get("value", "").startswith("sqlite:") for variable in variables_of_it)
    if found["kind"] == "Deployment":
        rolling = spec.get("strategy", {}).get("rollingUpdate", {})
        if sqlite:
            yield "a store in a file needs a StatefulSet: a rolling update would start a second process"
        if (rolling.get("maxSurge"), rolling.get("maxUnavailable")) != (1, 0):
            yield "strategy: a rolling update needs maxSurge 1 and maxUnavailable 0"
    else:
        modes = [claim["spec"]["accessModes"] for claim in spec["volumeClaimTemplates"]]
        if not sqlite or spec["replicas"] != 1 or modes != [["ReadWriteOncePod"]]:
            yield "SQLite needs one replica and one ReadWriteOncePod volume"


def of_pod(pod: Object, claims: set[str]) -> Iterator[str]:
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken is not false"
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false: a Service named serin would set SERIN_PORT"
    if pod.get("securityContext", {}).get("fsGroup") != UID:
        yield f"fsGroup is not {UID}"
    for container in pod["containers"]:
        yield from of_container(container, pod.get("securityContext", {}))
        mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
        unknown = mounts - {volume["name"] for volume in pod.get("volumes", [])} - claims
        yield from (f"no volume {name}" for name in sorted(unknown))


def of_container(container: Object, pod: Object) -> Iterator[str]:
    context = {**pod, **container.get("securityContext", {})}
    wanted = {
        "runAsNonRoot": True,
        "runAsUser": UID,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for key, value in wanted.items():
        if context.get(key) != value:
            yield f"{key} is {context.get(key)!r}, not {value!r}"
    for probe, path in {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}.items():
        get = container.get(probe, {}).get("httpGet", {})
        ports = {port.get("name", port["containerPort"]) for port in container["ports"]}
        if get.get("path") != path or path not in routes() or get.get("port") not in ports:
            yield f"{probe} asks {get.get('path')} at port {get.get('port')}, not {path} at one of {sorted(ports)}"
    if "preStop" in container.get("lifecycle", {}):
        yield "a preStop hook: serin itself waits for the load balancers"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
        yield "resources: requests of cpu and memory and a limit of memory are needed"
    if not container["image"].endswith(f":{version()}"):
        yield f"the image is {container['image']}, and serin is {version()}"
    for variable in container.get("env", []):
        if variable["name"] not in variables():
            yield f"{variable['name']} is not a setting of docs/operations.md"


def of_path(path: Object) -> Iterator[str]:
    known = routes()
    whole = path["type"] == "Exact"
    is_known = path["value"] in known if whole else any(r.startswith(f"{path['value']}/") for r in known)
    if not is_known:
        yield f"{path['value']} is not a route of docs/openapi.json"
    if any(path["value"].startswith(closed) for closed in ("/admin", "/metrics", "/v2/repository")):
        yield f"{path['value']} is for operators"


def references(objects: list[Object]) -> Iterator[str]:
    """Names and labels by which objects find each other."""
    names = {(found["kind"], found["metadata"]["name"]) for found in objects}
    workloads = [found for found in objects if found["kind"] in ("Deployment", "StatefulSet")]
    services = [found for found in objects if found["kind"] == "Service"]
    for found in workloads:
        labels = found["spec"]["template"]["metadata"]["labels"]
        pod = found["spec"]["template"]["spec"]
        if ("ServiceAccount", pod["serviceAccountName"]) not in names:
            yield f"no ServiceAccount {pod['serviceAccountName']}"
        for volume in pod["volumes"]:
            settings = volume.get("configMap", {}).get("name")
            if settings and ("ConfigMap", settings) not in names:
                yield f"no ConfigMap {settings}"
        constraints = pod.get("topologySpreadConstraints", [])
        selectors = [(found, found["spec"]["selector"]["matchLabels"])]
        selectors += [(found, constraint["labelSelector"]["matchLabels"]) for constraint in constraints]
        selectors += [(other, selector(other)) for other in objects if selector(other) is not None]
        for other, wanted in selectors:
            if not wanted or not wanted.items() <= labels.items():
                yield f"{other['kind']} {other['metadata']['name']} selects {wanted}, and Pods have {labels}"
        yield from stops_in_time(objects, pod)
    for found in objects:
        spec = found.get("spec", {})
        if found["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            scaled = [w for w in workloads if (w["kind"], w["metadata"]["name"]) == (target["kind"], target["name"])]
            if not scaled or "replicas" in scaled[0]["spec"]:
                yield "HorizontalPodAutoscaler: its target is missing, or sets replicas, too"
        if found["kind"] == "ServiceMonitor":
            wanted, ports = spec["selector"]["matchLabels"], {endpoint["port"] for endpoint in spec["endpoints"]}
            if not any(wanted.items() <= s["metadata"]["labels"].items() and ports <= port_names(s) for s in services):
                yield f"ServiceMonitor: no Service has labels {wanted} and ports {ports}"
        if found["kind"] == "HTTPRoute":
            backends = {(b["name"], b["port"]) for rule in spec["rules"] for b in rule["backendRefs"]}
            served = {(s["metadata"]["name"], port["port"]) for s in services for port in s["spec"]["ports"]}
            yield from (f"HTTPRoute: no Service {name} at port {port}" for name, port in sorted(backends - served))


def port_names(service: Object) -> set[str]:
    return {port["name"] for port in service["spec"]["ports"]}


def selector(found: Object) -> dict[str, str] | None:
    """The labels by which an object selects Pods; None: it selects none."""
    spec = found.get("spec", {})
    if found["kind"] == "Service":
        return spec.get("selector") or {}
    if found["kind"] == "NetworkPolicy":
        return spec.get("podSelector", {}).get("matchLabels") or {}
    if found["kind"] == "PodDisruptionBudget":
        return spec.get("selector", {}).get("matchLabels") or {}
    return None


def stops_in_time(objects: list[Object], pod: Object) -> Iterator[str]:
    """serin may take drain_delay and drain_deadline before Kubernetes kills it."""
    for found in objects:
        if found["kind"] == "ConfigMap" and "serin.toml" in found["data"]:
            settings = tomllib.loads(found["data"]["serin.toml"])
            spans = [re.fullmatch(r"(\d+)s", settings.get(name, "")) for name in ("drain_delay", "drain_deadline")]
            if None in spans:
                yield "serin.toml needs drain_delay and drain_deadline in whole seconds, such as 10s"
            needed = sum(int(span[1]) for span in spans if span)
            given = pod["terminationGracePeriodSeconds"]
            if given < needed + RESERVE_SECONDS:
                yield f"terminationGracePeriodSeconds is {given}, and serin may take {needed} s and then saves"


@lru_cache(maxsize=1)
def version() -> str:
    manifest = tomllib.loads((tools.ROOT / "Cargo.toml").read_text())
    return str(manifest["package"]["version"])


@lru_cache(maxsize=1)
def routes() -> set[str]:
    """The routes, with `model` where they have a name."""
    document: Any = json.loads((tools.ROOT / "docs/openapi.json").read_text())
    return set(document["paths"])


@lru_cache(maxsize=1)
def variables() -> set[str]:
    return set(re.findall(r"`(SERIN_[A-Z_]+)`", (tools.ROOT / "docs/operations.md").read_text()))
