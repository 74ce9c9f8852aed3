"""Attacks by what a page shows, by settings that make reads, and on what is told of an address: what must happen."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.pipeline import mlflow_tracking
from mnistlib.reporting import notebook_html, pages
from mnistlib.reporting.front_page import write_index
from mnistlib.runs import layout, state
from mnistlib.runs.layout import Run
from mnistlib.runs.record import NOT_RUN, read_record
from mnistlib.runs.stages import STAGE

ELSEWHERE = "http://127.0.0.1:9/elsewhere"
SCRIPT = "<script>globalThis.owned = 1</script>"
HANDLER = '<img src=x onerror="globalThis.owned = 1">'
# What a cell of a received notebook brings, as Markdown or as an output's HTML. None of it may run, load, send or lead
# elsewhere; `kept` is what the page shows all the same.
CELLS = {
    "script": (SCRIPT, ""),
    "handler": (HANDLER + "<details open ontoggle='globalThis.owned=1'>kept</details>", "kept"),
    "refresh": (f'<meta http-equiv="refresh" content="0; url={ELSEWHERE}">', ""),
    "refresh in capitals": (f'<META HTTP-EQUIV=refresh CONTENT="0; url={ELSEWHERE}">', ""),
    "base": (f'<base href="{ELSEWHERE}/">', ""),
    "form": (f'<form action="{ELSEWHERE}"><input name=a><button>kept</button></form>', "kept"),
    "button of another form": (f'<button form="f" formaction="{ELSEWHERE}">kept</button>', "kept"),
    "frame": (f'<iframe src="{ELSEWHERE}"></iframe><iframe srcdoc="{SCRIPT}"></iframe>', ""),
    "object": (f'<object data="{ELSEWHERE}"></object><embed src="{ELSEWHERE}">', ""),
    "style": (f"<style>body {{ background: url({ELSEWHERE}) }}</style><p style='position: fixed'>kept</p>", "kept"),
    "stylesheet": (f'<link rel="stylesheet" href="{ELSEWHERE}"><link rel="prefetch" href="{ELSEWHERE}">', ""),
    "picture": (f'<img src="{ELSEWHERE}"><img srcset="{ELSEWHERE} 1x"><video poster="{ELSEWHERE}"></video>', ""),
    "picture in Markdown": (f"![x]({ELSEWHERE})", ""),
    "script link": ('<a href="javascript:globalThis.owned=1">kept</a>', "kept"),
    "script link in disguise": ('<a href=" java&#10;script&#58;globalThis.owned=1">kept</a>', "kept"),
    "script link in Markdown": ("[kept](javascript:globalThis.owned=1)", "kept"),
    "data link": ('<a href="data:text/html,<script>globalThis.owned=1</script>">kept</a>', "kept"),
    "svg": ("<svg onload='globalThis.owned=1'><style><a title='</style><img src=x onerror=globalThis.owned=1>'>", ""),
    "math": ("<math><mtext><table><mglyph><style><img src=x onerror=globalThis.owned=1></style></table></math>", ""),
    "end of the page": (f"</main></body></html>{SCRIPT}<!-- <plaintext>", ""),
    "template": (f"<template>{SCRIPT}</template><noscript>{HANDLER}</noscript><textarea>{SCRIPT}", ""),
}
# Elements and attributes that a page's own cells never have.
FORBIDDEN = "script, style, meta, base, form, input, button, iframe, object, embed, link, svg, math, video, template"
INSIDE = """
[...document.querySelectorAll("main *")].flatMap(e => [...e.attributes].map(a => [e.localName, a.name, a.value]))
"""


@pytest.fixture
def page(browser):
    with browser() as page:
        yield page


@pytest.fixture
def received(smoke, tmp_path, monkeypatch) -> Run:
    """A run that somebody sent."""
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(state, "is_outdated", lambda run, record, asked: False)
    shutil.copytree(smoke.run(), tmp_path / "r")
    return Run("r")


def show(page, path: Path) -> None:
    """Open a page, and give it the time to do what it should not; nothing of it has run, and it is still there."""
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    assert page.url == path.as_uri()
    assert page.evaluate("globalThis.owned") is None


def cells_of(attack: str) -> list:
    """The attack as a Markdown cell, as a raw one, and as an output of each kind that a page shows as HTML."""
    html = {"text/html": attack}
    outputs = [
        nbformat.v4.new_output("display_data", html),
        nbformat.v4.new_output("display_data", html, metadata={"text/html": {"isolated": True}}),
        nbformat.v4.new_output("display_data", {"text/markdown": attack}),
        nbformat.v4.new_output("display_data", {"image/svg+xml": attack}),
        nbformat.v4.new_output("display_data", {"image/png": f'"{attack}'}, metadata={"image/png": {"width": attack}}),
        nbformat.v4.new_output("display_data", {"image/jpeg": ""}, metadata={"filenames": {"image/jpeg": ELSEWHERE}}),
        nbformat.v4.new_output("display_data", {"text/latex": attack}),
        nbformat.v4.new_output("display_data", {"application/javascript": "globalThis.owned = 1"}),
        nbformat.v4.new_output("stream", name="stdout", text=attack),
        nbformat.v4.new_output("stream", name="stderr", text=attack),
        nbformat.v4.new_output("error", ename=attack, evalue=attack, traceback=[attack]),
    ]
    code = nbformat.v4.new_code_cell(attack, outputs=outputs)
    code.metadata.tags = [f'"{attack}'.replace(",", "")]  # with a comma none is valid
    raw = nbformat.v4.new_raw_cell(attack, metadata={"raw_mimetype": "text/html"})
    return [nbformat.v4.new_markdown_cell(attack), raw, code]


@pytest.mark.parametrize(
    "attacks",
    [[*CELLS], *(pytest.param([name], marks=pytest.mark.slow) for name in CELLS)],
    ids=["all in one notebook", *CELLS],
)
def test_a_received_notebook_runs_loads_sends_and_leads_nowhere(received, page, attacks):
    """The fixture `page` also counts console messages as faults."""
    path, shown = received.notebook("03_train"), received.page("03_train")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for name in attacks for cell in cells_of(CELLS[name][0])]
    path.write_text(json.dumps(notebook))  # who attacks does not validate
    notebook_html.write_page(received, "03_train")
    show(page, shown)
    assert page.locator(f"main :is({FORBIDDEN})").count() == 0
    assert page.locator("footer.frame nav").count() == 1, "the page's own end is gone"
    for tag, attribute, value in page.evaluate(INSIDE):
        assert attribute in ("class", "id", "href", "src", "alt", "width", "open"), (tag, attribute)
        assert attribute not in ("href", "src") or re.match(r"https?:|data:image/|\w+\.html$", value), value
    cells = page.locator("main .text_cell_render")
    for place, name in enumerate(attacks):
        assert CELLS[name][1] in cells.nth(place).text_content(), name
    page.goto("about:blank")  # attacks called pictures are shown broken


TEXTS = {
    "seconds": lambda record, evil: record | {"seconds": {evil: 1.0}},
    "error": lambda record, evil: record | {"error": evil, "verdict": "failed"},
    "commit": lambda record, evil: record | {"commit": evil},
    "finished": lambda record, evil: record | {"finished": evil},
    "parameters": lambda record, evil: (
        record["inputs"]["parameters"].update({"augment": evil, evil: evil}) or record  # a value, and a name
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_words_of_a_received_record_are_text_in_every_page(received, page, name):
    evil = f'">{SCRIPT}{HANDLER}<meta http-equiv=refresh content="0;url={ELSEWHERE}">'
    for stage in STAGE:
        record = json.loads(received.status(stage).read_text())
        received.status(stage).write_text(json.dumps(TEXTS[name](record, evil)))
    raw = json.loads(received.raw_json.read_text())
    received.raw_json.write_text(json.dumps(raw | {"title": evil, "source": evil}))
    notebook_html.write_page(received, "01_data")
    write_index(received)
    for path in (received.page("01_data"), received.index, layout.runs_table_page()):
        show(page, path)
        assert page.locator("meta[http-equiv=refresh]").count() == 0
        assert page.locator("[onerror]").count() == 0
    assert evil not in received.card.read_text()


@pytest.mark.parametrize("verdict", [HANDLER, "ok ", "ok\n", "OK", "", "ok onload=x"])
def test_a_verdict_is_one_of_eight(received, verdict):
    record = json.loads(received.status("03_train").read_text())
    received.status("03_train").write_text(json.dumps(record | {"verdict": verdict}))
    assert read_record(received, "03_train").verdict == NOT_RUN
    notebook_html.write_page(received, "03_train")
    assert HANDLER not in received.page("03_train").read_text()


def test_every_page_lets_in_its_own_style_and_scripts_alone():
    templates = [*pages.TEMPLATES.rglob("*.j2"), ROOT / "bench" / "page.html.j2"]
    heads = [path.read_text() for path in templates if "<!doctype html>" in path.read_text()]
    bodies = [path.name for path in templates if path.read_text().startswith('{% extends "base.html.j2" %}')]
    assert (len(heads), sorted(bodies)) == (
        3,
        ["compare.html.j2", "index.html.j2", "runs_table.html.j2", "teach.html.j2"],
    )
    for text in heads:
        assert text.index('Content-Security-Policy" content="{{ page.policy }}"') < text.index("<title>")
        assert text.count("<style>") == 1
    policy = pages.assets(["page.js", "pad.js"])["policy"]
    assert re.sub("'sha256-[^']+'", "HASH", policy) == (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src HASH; script-src HASH HASH"
    )


def test_no_template_takes_text_for_markup_unless_it_is_ours():
    """`safe` stands only behind style, scripts, tables (which escape) and what nbconvert's escaping filters return."""
    ours = (
        r"page\.style|script|page\.(key|metrics|parameters|table|pictures|other_readers)|table|'<p>None.</p>'|"
        r".*\b(highlight_code\(.*\)|ansi2html)"
    )
    for path in [*pages.TEMPLATES.rglob("*.j2"), ROOT / "bench" / "page.html.j2"]:
        for text in re.findall(r"{{(.*?)}}", path.read_text()):
            for part in re.findall(r"(?:^| or )(.*?)\| *safe", text):
                assert re.fullmatch(ours, part.strip()), (path.name, text)
        assert "autoescape" not in path.read_text()


BROKEN = {
    "an attachment that is not there": lambda notebook: notebook.cells[0].update(source="![x](attachment:gone.png)"),
    "tags that are a number": lambda notebook: notebook.cells[0].metadata.update(tags=5),
    "tags that are no text": lambda notebook: notebook.cells[-1].metadata.update(tags=[[]]),
    "a language that is none": lambda notebook: notebook.metadata.update(language_info={"pygments_lexer": 5}),
    "a language of another kind": lambda notebook: notebook.metadata.update(language_info=7),
    "an output without data": lambda notebook: notebook.cells[-1].update(outputs=[{"output_type": "display_data"}]),
    "deep markup": lambda notebook: notebook.cells[0].update(cell_type="markdown", source="<div>" * 20_000),
    "deep quotes": lambda notebook: notebook.cells[0].update(cell_type="markdown", source="> " * 20_000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_notebook_that_cannot_be_shown_is_named_without_a_traceback(received, name):
    path = received.notebook("03_train")
    notebook = nbformat.read(path, as_version=4)
    BROKEN[name](notebook)
    path.write_text(json.dumps(notebook))
    try:
        notebook_html.write_page(received, "03_train")
    except RunError as error:
        assert "03_train.ipynb" in str(error)


# Settings: what each may hold, wherever make expands it or a shell reads it.
CODE = [
    *("$(shell touch owned)", "$(eval $(shell touch owned))", "`touch owned`", "$$(touch owned)", "a;touch owned"),
    *("a' ;touch owned; '", 'a" ;touch owned; "', "a\ntouch owned #", "04_evaluate;touch owned"),
]
SETTINGS = re.findall(r"^override (?:SETTINGS|PASSED_ON) := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
NAMES = [name for line in SETTINGS for name in line.split()]
OTHERS = ["QUICK", "FULL", "FUZZ_CASES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PEN_STROKES", "MLFLOW_EXPERIMENT_NAME"]
OURS = [
    "STAGES",
    "GOALS",
    "CANDIDATES",
    "PYTHON_SH",
    "candidates",
    "found",
    "UNWANTED",
    "IGNORED",
    "SHARE",
    "SIDE_BY_SIDE",
    "GIVEN",
    "PASSED_ON",
]
FAKE = """#!/bin/sh
case "$*" in *environment.py) echo "$0";; *) printf '%s\\n' "$*" "$SET" >> asked;; esac
"""


@pytest.fixture
def bare(tmp_path) -> dict:
    """A folder with the Makefile, and a Python that only writes down what it is asked."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "mnistlib" / "pipeline").mkdir(parents=True)
    shutil.copy(ROOT / "mnistlib" / "pipeline" / "python.sh", tmp_path / "mnistlib" / "pipeline")
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python"):
        (tmp_path / "bin" / name).write_text(FAKE)
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS")) and k not in NAMES}
    return {"cwd": tmp_path, "env": {**kept, "PATH": path, "PYTHON": "python3"}, "capture_output": True, "text": True}


FIRST = "-k help all infer status verify lab test lint soak bench env doctor clean".split()  # noqa: SIM905
THEN = ["RESOLVED=yes", "PYTHON=python3"]


@pytest.mark.parametrize(
    "goals", [FIRST, ["-k", "all", *THEN], ["-n", "all", *THEN], ["-k", "-j2", "04_evaluate", *THEN]]
)
@pytest.mark.parametrize("way", ["command line", "environment"])
@pytest.mark.parametrize("code", CODE)
def test_no_setting_is_run_as_code(bare, goals, way, code):
    left_out = {word.partition("=")[0] for word in goals}
    given = {name: code for name in [*NAMES, *OTHERS, *OURS] if name not in left_out}
    if way == "command line":
        goals = [*goals, *(f"{name}={value}" for name, value in given.items())]
        given = {}
    subprocess.run(["make", *goals], **{**bare, "env": bare["env"] | given}, timeout=60)
    assert not (bare["cwd"] / "owned").exists()


@pytest.mark.parametrize("way", ["command line", "environment"])
@pytest.mark.parametrize("code", CODE)
def test_a_setting_arrives_as_it_was_given(bare, way, code):
    command = ["make", "all"] + ([f"SET={code}"] if way == "command line" else [])
    environment = bare["env"] | ({"SET": code} if way == "environment" else {})
    subprocess.run(command, **{**bare, "env": environment}, check=True)
    assert (bare["cwd"] / "asked").read_text().endswith(f"-m mnistlib resolve\n{code}\n")


def test_the_makefile_reads_no_variable_that_is_not_made_literal():
    text = (ROOT / "Makefile").read_text()
    read = set(re.findall(r"(?<!\$)\$[({](\w+)[)}]", text)) | set(re.findall(r"ifn?def (\w+)", text))
    set_here = set(re.findall(r"^override (\w+) :?=", text, re.MULTILINE))
    assert read - set_here - set(NAMES) == {"name", "OMP_WAIT_POLICY"}  # a loop's own; never expanded


# Addresses of a tracker, what is told of each, and what in it nobody else may read.
ADDRESSES = {
    "http://me:s3cret@host:5000": ("http://host:5000", ["me", "s3cret"]),
    "http://me:p%40ss%2Fword@host:5000/": ("http://host:5000", ["p%40ss", "p@ss", "ss/word"]),
    "http://me:se/cr@et@host:5000": ("http://…", ["cr@et", "cret", "se/"]),
    "https://host/path-tok3n/api": ("https://host", ["path-tok3n"]),
    "https://host/?token=s3cret&user=me": ("https://host", ["s3cret"]),
    "https://host?token=a@b.tok3n": ("https://…", ["b.tok3n"]),
    "https://host/#s3cret": ("https://host", ["s3cret"]),
    "https://host/?key=a%20b%2Bc": ("https://host", ["a%20b", "a b+c"]),
    "https://:s3cret@[::1]:5000/x": ("https://[::1]:5000", ["s3cret"]),
    "postgresql://me:s3cret@db.host:5432/base?password=other": (
        "postgresql://db.host:5432",
        ["s3cret", "other", "base"],
    ),
    "databricks://pro-file:s3cret": ("databricks://…", ["s3cret"]),
    "sqlite:///runs/mlflow.db?password=s3cret": ("sqlite:///runs/mlflow.db", ["s3cret"]),
    "sqlite:///runs/mlflow.db": ("sqlite:///runs/mlflow.db", []),
    "me:s3cret@host": ("…", ["s3cret"]),
    "http://127.0.0.1:9": ("http://127.0.0.1:9", []),
}
MESSAGE = "Max retries exceeded with url: {rest} (of {uri}, {decoded!r}, via http://you:hidden@proxy:1/?token=hidden)"


@pytest.mark.parametrize("uri", ADDRESSES)
def test_of_a_tracker_s_address_scheme_host_and_port_are_told(uri, tmp_path, monkeypatch, capfd):
    told, secrets = ADDRESSES[uri]
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    rest = uri.partition("://")[2].partition("/")[2]

    def fail(run, address):
        print("View run at", address)
        print("Retrying", address, file=sys.stderr)
        logging.getLogger("urllib3").warning("Retrying %s", address)
        raise OSError(MESSAGE.format(uri=address, rest=rest, decoded=unquote(address)))

    for logged in (fail, lambda run, address: f"3 files in {mlflow_tracking.told_address(address)}"):
        monkeypatch.setattr(mlflow_tracking, "log_run", logged)
        assert mlflow_tracking.track_run("r") == 0
        said = "".join(capfd.readouterr()) + Run("r").log.read_text()
        assert told in said
        for secret in [*secrets, "hidden"]:
            assert secret not in said, said


CLEAN = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found on PyPI"}
LOOKED_UP = {
    "clean": (json.dumps({"dependencies": [CLEAN, SKIPPED]}), 0, "0 for 1 packages; 1 could not be looked up"),
    "flawed": (json.dumps({"dependencies": [CLEAN, FLAWED]}), 1, "advisory CVE-1: b 2, fixed in 3"),
    "all skipped": (json.dumps({"dependencies": [SKIPPED]}), 0, "not looked up, because PyPI did not answer"),
    "no network": ("", 0, "not looked up, because PyPI did not answer"),
}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_lint_tells_advisories_and_never_takes_silence_for_an_answer(name, tmp_path):
    answer, code, said = LOOKED_UP[name]
    (tmp_path / "pip_audit").mkdir()
    (tmp_path / "pip_audit" / "__init__.py").write_text("")
    (tmp_path / "pip_audit" / "__main__.py").write_text(f"print({answer!r}); raise SystemExit(1)")
    command, environment = [sys.executable, "-m", "bench.advisories"], {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
