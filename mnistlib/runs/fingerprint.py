"""Fingerprints of what a notebook runs: its own cells, and the modules that it really imports."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, bytes_digest, read_regular, shown, write_text
from mnistlib.runs.layout import module_cache

PACKAGE = "mnistlib"
LARGEST = 20_000_000  # bytes of a notebook
SHORT = 16  # hex digits of a digest that tells one version of a cell or a module from another


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the notebook's cells, `source` as one text, with `tags`, and with `place` in words.

    Raises RunError when the file is no notebook.
    """
    try:
        cells = json.loads(read_regular(Path(os.path.realpath(notebook)), LARGEST).decode())["cells"]
        return [read_cell(cell, f"{shown(notebook)}, cell {number}") for number, cell in enumerate(cells, 1)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{shown(notebook)} is no readable notebook: {error}") from error


def read_cell(cell: dict[str, Any], place: str) -> dict[str, Any]:
    """Return one cell as `read_cells` gives it. Raises KeyError, TypeError and AttributeError for another value."""
    kind, text, tags = str(cell["cell_type"]), "".join(cell["source"]), list(cell.get("metadata", {}).get("tags", []))
    return {**cell, "cell_type": kind, "source": text, "tags": tags, "place": place}


def code_of(notebook: Path) -> dict[str, str]:
    """The sources of the code cells, by their places."""
    return {cell["place"]: cell["source"] for cell in read_cells(notebook) if cell["cell_type"] == "code"}


def cell_digests(notebook: Path) -> list[str]:
    """Hash of kind, source and tags of each cell, 16 hex digits; outputs, counts and the rest do not matter."""
    cells = [(c["cell_type"], c["source"], c["tags"]) for c in read_cells(notebook)]
    return [bytes_digest(json.dumps(cell).encode())[:SHORT] for cell in cells]


def parameters_cell(notebook: Path) -> ast.Module:
    """The syntax tree of the cell tagged `parameters`. Raises RunError when there is not just one, or no Python."""
    tagged = [c for c in read_cells(notebook) if "parameters" in c["tags"]]
    if len(tagged) != 1:
        raise RunError(f"{shown(notebook)} has {len(tagged)} cells tagged 'parameters'; it must have one")
    return cell_tree(tagged[0]["source"], tagged[0]["place"])


def parameter_values(notebook: Path) -> dict[str, Any]:
    """Names and literal values in the parameters cell. Raises RunError that names what is no literal."""
    values: dict[str, Any] = {}
    for node in parameters_cell(notebook).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            try:
                values[node.target.id] = ast.literal_eval(node.value)
            except (ValueError, TypeError) as error:
                found = f"parameter {node.target.id} is {ast.unparse(node.value)!r}"
                raise RunError(f"{shown(notebook)}: {found}; a plain literal is expected, such as 12") from error
    return values


def parameter_names(notebook: Path) -> set[str]:
    """The names that the parameters cell declares."""
    return set(parameter_values(notebook))


def code_digests(notebook: Path) -> dict[str, str]:
    """Hash of each module of this package that the notebook's code imports, directly or not, 16 hex digits.

    Raises RunError.
    """
    names = (n for place, source in code_of(notebook).items() for n in imported(cell_tree(source, place)))
    return {name: digest[:SHORT] for name, digest in module_digests(names).items()}


def cell_tree(source: str, place: str) -> ast.Module:
    """The syntax tree of a cell, its magics as calls; empty for another language. Raises RunError that names the line.

    What stands under a cell magic (`%%time`) counts where it is Python.
    """
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        from IPython.core.inputtransformer2 import TransformerManager  # only a cell that is no plain Python waits

    code = source.lstrip()
    if code.startswith("%%"):
        try:
            return cell_tree(code.partition("\n")[2], place)
        except RunError:
            return ast.Module([], [])
    lost = source[: len(source) - len(code)].count("\n")  # lines that IPython takes away
    return parse("\n" * lost + TransformerManager().transform_cell(source), place)


def parse(text: str, place: str) -> ast.Module:
    """The syntax tree of a cell or module. Raises RunError that names place and line where it is no Python."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        found = f", found {error.text.strip()!r}" if error.text else ""
        raise RunError(f"{place}{line}: {error.msg}{found}; correct it and run make again") from error
    except ValueError as error:
        raise RunError(f"{place}: {error}; correct it and run make again") from error


def modules_digest(names: Iterable[str]) -> str:
    """Hash of modules of this package, by their dotted names, and of all that they import of it, as one."""
    return bytes_digest("\n".join(f"{name} {digest}" for name, digest in module_digests(names).items()).encode())


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """Hash of each of these modules, and of each that they import of this package, sorted by name.

    Of their code without comments and layout.
    """
    known: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = None if name in known else module_path(name)
        if path is None:
            continue
        known[name], further = module_digest(path)
        waiting += further
    return {name: known[name] for name in sorted(known)}


@cache
def module_digest(path: Path) -> tuple[str, list[str]]:
    """Hash of a module's code, and what it imports of this package. Raises RunError where it is no Python.

    Looked up by the hash of the file's bytes, since parsing all modules takes 0.2 s.
    """
    try:
        content = path.read_bytes()
        kept = kept_digests().get(bytes_digest(content))
        if kept is None:
            tree = parse(content.decode(), shown(path))
            kept = (bytes_digest(ast.unparse(tree).encode()), sorted(imported(tree)))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{shown(path)}: {error}; correct it and run make again") from error
    seen_digests()[bytes_digest(content)] = kept
    return kept


@cache
def kept_digests() -> dict[str, tuple[str, list[str]]]:
    """What earlier commands kept: hash of the code and imports of modules, by the hash of their bytes."""
    try:
        kept = json.loads(read_regular(module_cache(), LARGEST))
        return {key: (str(digest), [str(name) for name in names]) for key, (digest, names) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


@cache
def seen_digests() -> dict[str, tuple[str, list[str]]]:
    """What this process has looked up so far."""
    return {}


def keep_digests() -> None:
    """Keep what this process has looked up for later commands, where it differs from what was kept."""
    if seen_digests().keys() != kept_digests().keys():
        with suppress(RunError):
            write_text(module_cache(), json.dumps(seen_digests()))


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of this package that a tree may import, in functions too, with the packages above them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {name for name in names if name.split(".")[0] == PACKAGE}
    return ours | {name.rpartition(".")[0] for name in ours if "." in name}


@cache
def module_path(name: str) -> Path | None:
    """The file of a module or package of ours; None when the name is something else."""
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def code_version() -> str:
    """The git commit and whether files differ from it; empty outside a repository of the project's own."""
    above = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}  # a repository up there is somebody else's
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, timeout=10, env=above).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
