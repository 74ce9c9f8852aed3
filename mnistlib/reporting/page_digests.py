"""What each page of a run is made of, as a digest in its head: by this, and not by times, a page is up to date."""

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
    """Hash of what the stage's page is made of: its notebook, its record, the run in words, and the look."""
    notebooks = (run.notebook(stage), run.failed_notebook(stage))
    contents = [file_digest(path) for path in notebooks if path.is_file()]
    told = [current_records(run)[stage].verdict, describe_run(run, stage)]
    return bytes_digest(
        json.dumps([contents, record_digest(run, stage), told, look("mnistlib.reporting.notebook_html")]).encode()
    )


def index_digest(run: Run) -> str:
    """Hash of what the front page is made of: the records of all stages, the run in words, and the look."""
    verdicts = [record.verdict for record in current_records(run).values()]
    records = [record_digest(run, stage) for stage in STAGE]
    return bytes_digest(
        json.dumps([records, verdicts, describe_run(run), look("mnistlib.reporting.front_page")]).encode()
    )


def record_digest(run: Run, stage: str) -> str:
    """Hash of a stage's record; empty without one."""
    return file_digest(run.status(stage)) if run.status(stage).is_file() else ""


def look(module: str) -> str:
    """Hash of the templates, and of the code that fills them."""
    files = [path for path in sorted(TEMPLATES.rglob("*")) if path.is_file()]
    texts = [f"{path.relative_to(ROOT)} {file_digest(path)}" for path in files]
    return bytes_digest("\n".join([fingerprint.modules_digest([module]), *texts]).encode())


def read_page_digest(path: Path) -> str:
    """The digest that a page bears; empty where there is none."""
    try:
        with path.open("rb") as file:
            found = META.search(file.read(HEAD))
    except OSError:
        return ""
    return found[1].decode() if found else ""


def stale_stage_pages(run: Run) -> list[str]:
    """The stages whose notebooks were executed, and whose pages are made of something else or missing."""
    executed = [name for name in STAGE if run.notebook(name).is_file() or run.failed_notebook(name).is_file()]
    return [name for name in executed if read_page_digest(run.page(name)) != page_digest(run, name)]


def stale_pages(run: Run) -> list[str]:
    """The pages to render anew: of stages, and the front page with the files that are written beside it."""
    stages = stale_stage_pages(run)
    if is_fine_tuned(run):
        return stages
    beside = [run.all_metrics, run.headline, run.receipt, run.summary, runs_table_page()]
    beside += [run.card] if run.model_json.is_file() else []
    whole = read_page_digest(run.index) == index_digest(run) and all(path.is_file() for path in beside)
    return [*stages, *([] if whole else ["index"])]
