"""The documentation: its links, paths, modules, make targets and profiles exist."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=TEXTS)
def test_links_and_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:mnistlib|tests|bench|params|notebooks)/[\w./]*)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=TEXTS)
def test_modules_and_targets_exist(page):
    text = page.read_text(encoding="utf-8")
    modules = re.findall(r"python -m ((?:bench|mnistlib)[\w.]*)", text)
    assert [module for module in modules if not importlib.util.find_spec(module)] == []
    targets = set(re.findall(r"^## ([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|[A-Z]=\S+ )make (?:-\w+ )?([a-z]+)", text, re.MULTILINE))
    assert named <= targets


def test_the_readme_is_short_and_names_every_folder_and_profile():
    readme = TEXTS["README.md"]
    folders = [path.parent.name for path in (ROOT / "mnistlib").glob("*/__init__.py")]
    profiles = [path.stem for path in (ROOT / "params").glob("*.yaml")]
    assert [name for name in folders if f"| `{name}` |" not in readme] == []
    assert [name for name in profiles if f"`{name}`" not in readme] == []
    assert len(readme.splitlines()) <= 150


def test_the_citation_and_the_license_agree_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{citation["version"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{citation['license']} License")
