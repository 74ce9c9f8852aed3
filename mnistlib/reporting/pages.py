"""Pages from Jinja2 templates, each with a content security policy that allows only its own style and scripts."""

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
    """Render a self-contained HTML page; every text is escaped.

    Args:
        template: the template's file name.
        page: what the template shows, as its variable `page`, beside style, scripts and policy.
        folder: where the template is.
        scripts: files of this package's templates that the page holds.

    Returns:
        The page as HTML.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(page={**assets(scripts), **page})


def render_markdown(template: str, **values: Any) -> str:
    """Render Markdown from a template; every value is text, not markup."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - every value goes through as_markdown
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, finalize=as_markdown
    )
    return environment.get_template(template).render(values)


def as_markdown(value: Any) -> str:
    """Return a value on one line, with a backslash before each character that Markdown or HTML reads as markup."""
    return re.sub(r"([\\`*{}\[\]<>&|#~$]|\b_\B|\B_\b|\B_\B)", r"\\\1", " ".join(str(value).split()))


def assets(scripts: Sequence[str] = ("page.js",)) -> dict[str, Any]:
    """Return style and scripts of a page, and the content security policy that allows only these."""
    style = read_template("style.css") + (read_template("pad.css") if "pad.js" in scripts else "")
    texts = [read_template(name) for name in scripts]
    rules = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    rules += [f"style-src {source_hash(style)}", f"script-src {' '.join(map(source_hash, texts))}"]
    return {"style": style, "scripts": texts, "policy": "; ".join(rules)}


def read_template(name: str) -> str:
    """Return the text of a file of the templates' folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """Return the hash by which a content security policy allows an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
