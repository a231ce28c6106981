"""Mistakes that the checks have to find: the tests of the checks."""

from __future__ import annotations

import copy
from typing import Any

from . import checks
from . import copies
from . import rendered
from . import schemas
from . import tools
from .rendered import Object

#: The kind, the path to the field, what stands there instead, and what the check says. `...` removes the field.
OF_FIELDS: list[tuple[str, str, Any, str]] = [
    ("Deployment", "spec/replcas", 3, "'replcas' was unexpected"),
    ("Deployment", "spec/replicas", "three", '"three" is not of type'),
    ("Deployment", "spec/template/spec/containers/0/readinessProbe/httpGet/pth", "/", "'pth' was unexpected"),
    ("Service", "spec/ports/0/port", "http", '"http" is not of type'),
    ("NetworkPolicy", "spec/podSelector", ..., '"podSelector" is a required property'),
    ("PodDisruptionBudget", "spec/maxUnavailabel", 1, "'maxUnavailabel' was unexpected"),
    ("HorizontalPodAutoscaler", "spec/maxReplicas", ..., '"maxReplicas" is a required property'),
    ("ServiceMonitor", "spec/endpoints/0/intervall", "15s", "'intervall' was unexpected"),
    ("ServiceMonitor", "spec/endpoints/0/interval", "often", '"often" does not match'),
    ("PrometheusRule", "spec/groups/0/rules/0/expression", "up", "'expression' was unexpected"),
    ("HTTPRoute", "spec/rules/0/matches/0/path/type", "Prefix", '"Prefix" is not one of'),
    ("HTTPRoute", "spec/rules/0/backends", [], "'backends' was unexpected"),
    ("ServingRuntime", "spec/supportedModelFormats/0/autoselect", False, "'autoselect' was unexpected"),
    ("ServingRuntime", "spec/containers/0/imag", "serin", "'imag' was unexpected"),
    ("InferenceService", "spec/predictor/model/modelFormat/name", ..., '"name" is a required property'),
    ("InferenceService", "spec/predictor/model/storageURI", "s3://a", "'storageURI' was unexpected"),
]

OF_SENSE: list[tuple[str, str, Any, str]] = [
    ("Deployment", "spec/template/spec/securityContext/runAsUser", 0, "runAsUser is 0"),
    ("Deployment", "spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem", ..., "readOnlyRoot"),
    ("Deployment", "spec/template/spec/automountServiceAccountToken", ..., "automountServiceAccountToken"),
    ("Deployment", "spec/template/spec/enableServiceLinks", ..., "enableServiceLinks"),
    ("Deployment", "spec/template/spec/containers/0/livenessProbe/httpGet/path", "/healthz", "livenessProbe asks"),
    ("Deployment", "spec/template/spec/containers/0/ports/0/name", "web", "at port http"),
    ("Deployment", "spec/template/spec/containers/0/env/0/name", "SERIN_CONFIGURATION", "is not a setting"),
    ("Deployment", "spec/template/spec/containers/0/image", "serin:latest", "the image is serin:latest"),
    ("Deployment", "spec/template/spec/containers/0/resources/limits", ..., "a limit of memory"),
    ("Deployment", "spec/template/spec/terminationGracePeriodSeconds", 30, "terminationGracePeriodSeconds is 30"),
    ("Deployment", "spec/template/spec/volumes/1/configMap/name", "settings", "no ConfigMap settings"),
    ("Deployment", "spec/template/spec/volumes/0/name", "date", "no volume data"),
    ("Deployment", "spec/template/spec/serviceAccountName", "default", "no ServiceAccount default"),
    ("Deployment", "spec/strategy/rollingUpdate/maxUnavailable", 1, "maxUnavailable 0"),
    ("Deployment", "spec/template/spec/containers/0/env/0/value", "sqlite:/data/serin.db", "needs a StatefulSet"),
    ("Service", "spec/selector/app.kubernetes.io~1name", "sirin", "Service serin selects"),
    ("PodDisruptionBudget", "spec/selector", ..., "PodDisruptionBudget serin selects"),
    ("ServiceMonitor", "spec/endpoints/0/port", "metrics", "no Service has"),
    ("ServiceMonitor", "spec/endpoints/0/path", "/prometheus", "is not a route"),
    ("HTTPRoute", "spec/rules/0/backendRefs/0/weight", 90, "without a weight"),
    ("HTTPRoute", "spec/rules/0/backendRefs/0/port", 80, "no Service serin at port 80"),
    ("HTTPRoute", "spec/rules/0/matches/0/path/value", "/predictions", "is not a route"),
    ("HTTPRoute", "spec/rules/0/matches/0/path/value", "/admin/status", "is for operators"),
    ("ServingRuntime", "spec/supportedModelFormats/0/autoSelect", True, "has autoSelect"),
    ("ServingRuntime", "spec/containers/0/securityContext/runAsNonRoot", ..., "runAsNonRoot"),
]

#: Values of the chart, and what differs from kustomize then, or what helm says.
OF_THE_CHART = [
    ("replicas=5", "Deployment serin, spec, replicas: 3 by kustomize, 5 by helm"),
    ("networkPolicy.enabled=false", "NetworkPolicy serin is missing in the chart"),
    ("serviceMonitor.enabled=true", "ServiceMonitor serin is only in the chart"),
    ("image.tag=v2", "registry.example.org/serin:v2"),
]
REFUSED_BY_THE_CHART = [("replica=5", "'replica' not allowed"), ("replicas=three", "got string, want integer")]

COUNT = len(OF_FIELDS) + len(OF_SENSE) + len(OF_THE_CHART) + len(REFUSED_BY_THE_CHART) + 2


def changed(objects: list[Object], kind: str, path: str, value: Any) -> list[Object]:
    """Copies of the objects, in which one field differs."""
    made = copy.deepcopy(objects)
    [at] = [found for found in made if found["kind"] == kind]
    *way, last = [part.replace("~1", "/") for part in path.split("/")]
    for part in way:
        at = at[int(part)] if isinstance(at, list) else at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return made


def problems(objects: list[Object]) -> list[str]:
    """The mistakes that no check finds."""
    base = rendered.objects(rendered.built(rendered.BASE))
    outcomes: list[tuple[str, str, list[str]]] = []
    for kind, field, value, said in OF_FIELDS:
        made = changed(objects, kind, field, value)
        found = [problem for each in made for problem in schemas.problems(each)]
        outcomes.append((f"{kind}, {field}: {value}", said, found))
    for kind, field, value, said in OF_SENSE:
        found = checks.problems(changed(objects, kind, field, value))
        outcomes.append((f"{kind}, {field}: {value}", said, found))
    for given, said in OF_THE_CHART:
        outcomes.append((f"--set {given}", said, rendered.differences(base, rendered.templated([given]))))
    for given, said in REFUSED_BY_THE_CHART:
        outcomes.append((f"--set {given}", said, [refused(given)]))
    for path, content in copies.copies().items():
        outcomes.append((f"an old {path.name}", f"{path.name} differs", copies.stale({path: content + "\n"})))
    missed = [
        f"no check finds {what}; expected {said!r}" for what, said, found in outcomes if said not in "\n".join(found)
    ]
    return missed if len(outcomes) == COUNT else [*missed, f"{len(outcomes)} mistakes were planted, and not {COUNT}"]


def refused(value: str) -> str:
    return tools.run("helm", "template", rendered.RELEASE, rendered.CHART, "--set", value, fails=True)
