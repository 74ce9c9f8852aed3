"""Look up security advisories of the packages in requirements.lock, with pip-audit; `make lint` calls it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements.lock"
SECONDS = 60


def main() -> int:
    """Print each advisory and a summary; return 1 if there is an advisory, 0 also without pip-audit or network."""
    if not importlib.util.find_spec("pip_audit"):
        print("advisories: not looked up, because pip-audit is not installed (pip install pip-audit)")
        return 0
    asked = look_up()
    answered = [package for package in asked if "vulns" in package]
    if not answered:
        print("advisories: not looked up, because PyPI did not answer")
        return 0
    found = [(package, advisory) for package in answered for advisory in package["vulns"]]
    for package, advisory in found:
        fixed = " or ".join(advisory.get("fix_versions", [])) or "no version yet"
        print(f"advisory {advisory['id']}: {package['name']} {package['version']}, fixed in {fixed}")
    print(f"advisories: {len(found)} for {len(answered)} packages; {len(asked) - len(answered)} could not be looked up")
    return int(bool(found))


def look_up() -> list[dict[str, Any]]:
    """Return pip-audit's entry for each package, with `vulns` or `skip_reason`; an empty list after a time-out."""
    options = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off", "--timeout=10"]
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        return list(json.loads(done.stdout)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return []


if __name__ == "__main__":
    sys.exit(main())
