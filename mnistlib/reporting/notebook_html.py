"""An executed notebook as one self-contained HTML file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_regular, shown, write_text
from mnistlib.reporting.formulas import draw_formulas, markdown_filter
from mnistlib.reporting.page_digests import page_digest, stale_stage_pages
from mnistlib.reporting.pages import TEMPLATES, assets
from mnistlib.reporting.run_summary import describe_run, describe_stage
from mnistlib.runs.fingerprint import LARGEST
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.stages import STAGE

BANNER = "papermill-error-cell-tag"  # the frame says it better
LINK = re.compile(r'<a href="(\d\d_\w+)\.ipynb">(.*?)</a>', re.DOTALL)
# What the cells of a notebook may bring into its page: nothing that runs, loads, sends or leads elsewhere by itself.
TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "i", "img", "li", "ol", "p", "pre", "s", "section", "small", "span", "strong", "sub", "summary", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href"}, "details": {"open"}, "div": {"id"}, "img": {"src", "alt", "width", "height"}}
ADDRESSES = {"href": re.compile(r"https?://\S*|[^:&\s]*"), "src": re.compile(r"data:image/[\w+]+;base64,[\w+/=\s]*")}
MOST_TAGS = 5000  # in a cell: nested, more take the parser minutes
CODE = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)  # its text is not for readers


def write_pages(run: Run) -> None:
    """Render the pages of stages that are made of something else by now. Raises RunError."""
    for stage in stale_stage_pages(run):
        write_page(run, stage)


def write_page(run: Run, stage: str) -> None:
    """Render the stage's executed notebook, or the failed one, to `reports/<stage>.html`. Raises RunError."""
    executed, failed = run.notebook(stage), run.failed_notebook(stage)
    notebook = read_notebook(executed if executed.is_file() else failed)
    notebook.cells = [cell for cell in notebook.cells if BANNER not in str(cell.metadata.get("tags", []))]
    page = page_context(run, stage)
    resources = {"page": page, "metadata": {"name": stage}}
    made = exporter()
    try:
        html, _ = made.from_notebook_node(notebook, resources=resources)
    except Exception as error:  # a notebook can be wrong in many ways
        told = f"{type(error).__name__}: {error}".split("\n")[0][:200]
        raise RunError(f"{shown(run.page(stage))} cannot be made from {stage}.ipynb ({told})") from error
    write_text(run.page(stage), LINK.sub(lambda link: linked(link, page["stages"]), html))


def linked(link: re.Match[str], pages: Sequence[str]) -> str:
    """A link to another notebook as one to its page; as text where the run has no such page."""
    name, text = link.groups()
    return f'<a href="{name}.html">{text}</a>' if name in pages else text


def read_notebook(path: Path) -> Any:
    """What was executed, as nbformat's node. Raises RunError where the file is damaged."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # 1.3 s of import for a check not used
    import nbformat

    try:
        return nbformat.reads(read_regular(path, LARGEST).decode(), as_version=4)
    except Exception as error:  # damage shows in many ways
        text = f"{shown(path)} is no readable notebook ({error})"
        raise RunError(f"{text}: delete it, and make runs the stage again") from error


def exporter() -> Any:
    """nbconvert's, with the project's template, which escapes what it shows. Raises RunError where nbconvert fails."""
    try:
        from nbconvert.exporters import HTMLExporter

        made = HTMLExporter(
            extra_template_basedirs=[str(TEMPLATES)],
            template_name="page",
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            exclude_anchor_links=True,
        )
    except Exception as error:  # what somebody's environment lacks shows in many ways
        raise RunError(
            f"nbconvert cannot make pages here ({type(error).__name__}: {error}): pip install --force-reinstall "
            "nbconvert, or deactivate this environment and make builds its own. What was executed is kept"
        ) from error
    made.embed_images = False
    made.environment.autoescape = lambda name: name == "index.html.j2"  # nbconvert's own templates count on none
    made.register_filter("allowed", allowed_html())
    made.register_filter("markdown2html", markdown_filter())
    return made


def allowed_html() -> Callable[[str], str]:
    """A function that returns HTML without what `TAGS`, `ATTRIBUTES` and `ADDRESSES` do not name.

    As text where it has more than `MOST_TAGS`.
    """
    from bleach.sanitizer import Cleaner
    from markupsafe import Markup, escape

    def is_allowed(tag: str, name: str, value: str) -> bool:
        if name in ADDRESSES and not ADDRESSES[name].fullmatch(value):
            return False
        return name == "class" or name in ATTRIBUTES.get(tag, ())

    cleaner = Cleaner(tags=TAGS, attributes=is_allowed, protocols={"http", "https", "data"}, strip=True)

    def clean(html: str) -> str:
        return Markup(draw_formulas(cleaner.clean(CODE.sub("", html))))  # noqa: S704 - what is left is allowed

    return lambda html: clean(html) if html.count("<") <= MOST_TAGS else escape(str(html))


def page_context(run: Run, stage: str) -> dict[str, Any]:
    """What the page's frame says: verdict, links, parameters, style and scripts with their hashes."""
    names, front = ([stage], "teach") if is_fine_tuned(run) else (list(STAGE), "index")
    place = names.index(stage)
    return {
        **assets(),
        "made_of": page_digest(run, stage),
        "title": f"{stage} · {run.name}",
        "stage": describe_stage(run, stage),
        "run": describe_run(run, stage),
        "before": names[place - 1] if place else None,
        "after": names[place + 1] if place + 1 < len(names) else None,
        "stages": names,
        "front": front,
    }
