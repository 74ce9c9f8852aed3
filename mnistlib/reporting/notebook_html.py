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
    """Render the stale stage pages of a run.

    Args:
        run: a run whose notebooks were executed.

    Raises:
        RunError: when an executed notebook is damaged or cannot be shown.
    """
    for stage in stale_stage_pages(run):
        write_page(run, stage)


def write_page(run: Run, stage: str) -> None:
    """Render a stage's executed notebook, or the failed one, to `reports/<stage>.html`. Raises RunError."""
    executed, failed = run.notebook(stage), run.failed_notebook(stage)
    notebook = read_notebook(executed if executed.is_file() else failed)
    notebook.cells = [cell for cell in notebook.cells if BANNER not in str(cell.metadata.get("tags", []))]
    page = page_context(run, stage)
    resources = {"page": page, "metadata": {"name": stage}}
    made = exporter()
    try:
        html, _ = made.from_notebook_node(notebook, resources=resources)
    except Exception as error:  # a notebook can be wrong in many ways
        reason = f"{type(error).__name__}: {error}".split("\n")[0][:200]
        raise RunError(f"{shown(run.page(stage))} cannot be made from {stage}.ipynb ({reason})") from error
    write_text(run.page(stage), LINK.sub(lambda link: linked(link, page["stages"]), html))


def linked(link: re.Match[str], pages: Sequence[str]) -> str:
    """Return a link to another notebook as a link to its page, or as text if the run has no such page."""
    name, text = link.groups()
    return f'<a href="{name}.html">{text}</a>' if name in pages else text


def read_notebook(path: Path) -> Any:
    """Return an executed notebook as an nbformat node. Raises RunError when the file is damaged."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # 1.3 s of import for a check not used
    import nbformat

    try:
        return nbformat.reads(read_regular(path, LARGEST).decode(), as_version=4)
    except Exception as error:  # damage shows in many ways
        text = f"{shown(path)} is not a readable notebook ({error})"
        raise RunError(f"{text}: delete it, and make runs the stage again") from error


def exporter() -> Any:
    """Return nbconvert's exporter with this project's template, which escapes texts. Raises RunError if it fails."""
    try:
        from nbconvert.exporters import HTMLExporter

        made = HTMLExporter(
            extra_template_basedirs=[str(TEMPLATES)],
            template_name="page",
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            exclude_anchor_links=True,
        )
    except Exception as error:  # a broken environment fails in many ways
        raise RunError(
            f"nbconvert cannot make pages here ({type(error).__name__}: {error}): pip install --force-reinstall "
            "nbconvert, or deactivate this environment, and make builds its own. The executed notebook is kept"
        ) from error
    made.embed_images = False
    made.environment.autoescape = lambda name: name == "index.html.j2"  # nbconvert's own templates count on none
    made.register_filter("allowed", allowed_html())
    made.register_filter("markdown2html", markdown_filter())
    return made


def allowed_html() -> Callable[[str], str]:
    """Return a function that removes from HTML all but `TAGS`, `ATTRIBUTES` and `ADDRESSES`.

    HTML with more than `MOST_TAGS` tags is shown as text.
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
    """Return what the page's frame shows: verdict, links, parameters, style and scripts with their hashes."""
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
