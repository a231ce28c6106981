"""Files that are written from others: deploy/serin.yaml and the rules for the Prometheus Operator."""

from __future__ import annotations

from pathlib import Path

import yaml

from . import rendered
from . import tools
from .rendered import DEPLOY

RULES = [DEPLOY / "prometheus/serin.rules.yml", DEPLOY / "prometheus/serin.alerts.yml"]
WRITE = ".venv/bin/python scripts/manifests --write"


class Text(yaml.SafeDumper):
    """Texts of several lines as such."""


def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Text.add_representer(str, text)


def rule() -> str:
    """The groups of the rules and of the alerts as one PrometheusRule."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    found = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "serin", "labels": {"app.kubernetes.io/name": "serin"}},
        "spec": {"groups": groups},
    }
    body = yaml.dump(found, Dumper=Text, sort_keys=False, width=120)
    return f"# Written from deploy/prometheus by {WRITE}\n{body}"


def everything() -> str:
    """The base, for those who have no kustomize."""
    return f"""# Written from {rendered.BASE} by {WRITE}
# kubectl apply -f deploy/serin.yaml; the Pods start once there is a Secret serin. See docs/kubernetes.md.
{rendered.built(rendered.BASE)}"""


def copies() -> dict[Path, str]:
    return {
        DEPLOY / "serin.yaml": everything(),
        DEPLOY / "kustomize/components/prometheus-rule/prometheus-rule.yaml": rule(),
    }


def write() -> None:
    for path, content in copies().items():
        path.write_text(content)


def stale(of: dict[Path, str] | None = None) -> list[str]:
    """The files that are not what they are written from."""
    return [
        f"{path.relative_to(tools.ROOT)} differs from what it is written from; run {WRITE}"
        for path, content in (of or copies()).items()
        if not path.exists() or path.read_text() != content
    ]
