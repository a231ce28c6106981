"""axe-core, which finds what keeps people from reading a page: contrast, names, roles, order."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from .chromium import Tab

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDER = ROOT / "target/axe"

#: What differs between light and dark.
OF_COLORS = ["color-contrast", "link-in-text-block"]

#: Everything of WCAG 2.2 at AA, and what axe calls best practice.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

BAD = ("serious", "critical")


@lru_cache(maxsize=1)
def script() -> str:
    """axe-core, downloaded once into target/."""
    packages = list(FOLDER.glob("*.whl"))
    if not packages:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--dest", str(FOLDER), "--requirement", str(HERE / "requirements-axe.txt")]
        subprocess.run(command, check=True)
        packages = list(FOLDER.glob("*.whl"))
    with zipfile.ZipFile(packages[0]) as package:
        [name] = [name for name in package.namelist() if name.endswith("/axe.min.js")]
        return package.read(name).decode()


def violations(tab: Tab, *, only_colors: bool = False) -> list[str]:
    """What is serious or critical on the page, with the first elements that have it."""
    tab.js(f"{{ {script()}; 0 }}")
    found: Any = tab.probe(
        "violations", {"type": "rule", "values": OF_COLORS} if only_colors else {"type": "tag", "values": TAGS}
    )
    return [f"{impact}: {rule}: {'; '.join(nodes)}" for impact, rule, nodes in found if impact in BAD]
