"""The digest of a page's sources, stored in its head: it decides whether a page is up to date; file times do not."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mnistlib.core.files import ROOT, bytes_digest, file_digest
from mnistlib.reporting.pages import TEMPLATES
from mnistlib.reporting.run_summary import describe_run
from mnistlib.runs import fingerprint
from mnistlib.runs.layout import Run, runs_table_page
from mnistlib.runs.model_store import is_fine_tuned
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import current_records

HEAD = 4000  # bytes of a page in which its digest stands
META = re.compile(rb'<meta (?:name="made-of" )?content="([0-9a-f]{64})"')  # nbconvert sorts the attributes


def page_digest(run: Run, stage: str) -> str:
    """Return the digest of everything that a stage's page is made from.

    Args:
        run: the run.
        stage: the stage's name.

    Returns:
        SHA-256, hexadecimal, of its notebook, record, verdict, the run's description, the templates and their code.
    """
    notebooks = (run.notebook(stage), run.failed_notebook(stage))
    contents = [file_digest(path) for path in notebooks if path.is_file()]
    texts = [current_records(run)[stage].verdict, describe_run(run, stage)]
    return json_digest(contents, record_digest(run, stage), texts, code_digest("mnistlib.reporting.notebook_html"))


def index_digest(run: Run) -> str:
    """Return the digest of the front page: all records and verdicts, the run's description, templates and code."""
    verdicts = [record.verdict for record in current_records(run).values()]
    records = [record_digest(run, stage) for stage in STAGE]
    return json_digest(records, verdicts, describe_run(run), code_digest("mnistlib.reporting.front_page"))


def json_digest(*parts: object) -> str:
    """Return the SHA-256 of the parts as JSON."""
    return bytes_digest(json.dumps(parts).encode())


def record_digest(run: Run, stage: str) -> str:
    """Return the SHA-256 of a stage's record; empty without one."""
    return file_digest(run.status(stage)) if run.status(stage).is_file() else ""


def code_digest(module: str) -> str:
    """Return the SHA-256 of the templates and of the code of `module` with all that it imports."""
    files = [path for path in sorted(TEMPLATES.rglob("*")) if path.is_file()]
    texts = [f"{path.relative_to(ROOT)} {file_digest(path)}" for path in files]
    return bytes_digest("\n".join([fingerprint.modules_digest([module]), *texts]).encode())


def read_page_digest(path: Path) -> str:
    """Return the digest in the head of the page at `path`, hexadecimal; empty when the page is missing or has none."""
    try:
        with path.open("rb") as file:
            found = META.search(file.read(HEAD))
    except OSError:
        return ""
    return found[1].decode() if found else ""


def stale_stage_pages(run: Run) -> list[str]:
    """Return the executed stages whose pages are missing or out of date."""
    executed = [name for name in STAGE if run.notebook(name).is_file() or run.failed_notebook(name).is_file()]
    return [name for name in executed if read_page_digest(run.page(name)) != page_digest(run, name)]


def stale_pages(run: Run) -> list[str]:
    """Return which pages of a run must be rendered again.

    Args:
        run: the run.

    Returns:
        Names of stages, and `index` for the front page and the files beside it.
    """
    stages = stale_stage_pages(run)
    if is_fine_tuned(run):
        return stages
    beside = [run.all_metrics, run.headline, run.receipt, run.summary, runs_table_page()]
    beside += [run.card] if run.model_json.is_file() else []
    whole = read_page_digest(run.index) == index_digest(run) and all(path.is_file() for path in beside)
    return [*stages, *([] if whole else ["index"])]
