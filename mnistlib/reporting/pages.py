"""Pages from templates: style, scripts and a policy that lets in nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def render(
    template: str, page: Mapping[str, Any], folder: Path = TEMPLATES, scripts: Sequence[str] = ("page.js",)
) -> str:
    """A page from the template of that name: `page` with style, scripts and policy; every text is escaped.

    `scripts`: files of the templates' folder that the page holds; data for them is put in by Jinja2's `tojson`.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(page={**assets(scripts), **page})


def render_markdown(template: str, **given: Any) -> str:
    """Markdown from the template of that name; whatever is put in is text, not markup."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - every value goes through as_markdown
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, finalize=as_markdown
    )
    return environment.get_template(template).render(given)


def as_markdown(value: Any) -> str:
    """A value on one line, with a backslash before each sign that Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*{}\[\]<>&|#~$]|\b_\B|\B_\b|\B_\B)", r"\\\1", " ".join(str(value).split()))


def assets(scripts: Sequence[str] = ("page.js",)) -> dict[str, Any]:
    """Style and scripts to be put into a page, and a policy that lets just these in."""
    style = read_template("style.css") + (read_template("pad.css") if "pad.js" in scripts else "")
    texts = [read_template(name) for name in scripts]
    rules = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    rules += [f"style-src {source_hash(style)}", f"script-src {' '.join(map(source_hash, texts))}"]
    return {"style": style, "scripts": texts, "policy": "; ".join(rules)}


def read_template(name: str) -> str:
    """The text of a file of the templates' folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """An inline style or script as a page's policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
