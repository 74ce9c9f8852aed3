"""Fingerprint what a notebook runs: its own cells, and the modules that it really imports."""

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
    """Read the cells of a notebook.

    Returns:
        Each cell with `source` as one text, its `tags`, and `place`, which names file and cell in messages.

    Raises:
        RunError: the file is not a notebook.
    """
    try:
        cells = json.loads(read_regular(Path(os.path.realpath(notebook)), LARGEST).decode())["cells"]
        return [read_cell(cell, f"{shown(notebook)}, cell {number}") for number, cell in enumerate(cells, 1)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{shown(notebook)} is not a readable notebook: {error}") from error


def read_cell(cell: dict[str, Any], place: str) -> dict[str, Any]:
    """Return one cell as `read_cells` does. Raises KeyError, TypeError and AttributeError for another value."""
    kind, text, tags = str(cell["cell_type"]), "".join(cell["source"]), list(cell.get("metadata", {}).get("tags", []))
    return {**cell, "cell_type": kind, "source": text, "tags": tags, "place": place}


def cell_digests(notebook: Path) -> list[str]:
    """Return a hash of kind, source and tags of each cell, 16 hex digits; outputs and counts do not matter."""
    cells = [(c["cell_type"], c["source"], c["tags"]) for c in read_cells(notebook)]
    return [bytes_digest(json.dumps(cell).encode())[:SHORT] for cell in cells]


def parameter_values(notebook: Path) -> dict[str, Any]:
    """Return names and literal values in the parameters cell.

    Raises:
        RunError: the cell is missing or invalid, or a value is not a literal; the message names it.
    """
    tagged = [cell for cell in read_cells(notebook) if "parameters" in cell["tags"]]
    if len(tagged) != 1:
        raise RunError(f"{shown(notebook)} has {len(tagged)} cells tagged 'parameters'; it must have one")
    values: dict[str, Any] = {}
    for node in cell_tree(tagged[0]["source"], tagged[0]["place"]).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            try:
                values[node.target.id] = ast.literal_eval(node.value)
            except (ValueError, TypeError) as error:
                found = f"parameter {node.target.id} is {ast.unparse(node.value)!r}"
                raise RunError(f"{shown(notebook)}: {found}; a plain literal is expected, such as 12") from error
    return values


def parameter_names(notebook: Path) -> set[str]:
    """Return the names that the parameters cell declares. Raises RunError as `parameter_values` does."""
    return set(parameter_values(notebook))


def code_digests(notebook: Path) -> dict[str, str]:
    """Return a hash of each module of this package that the notebook's code imports, directly or not.

    Returns:
        16 hex digits by the module's dotted name.

    Raises:
        RunError: a cell or a module is not valid Python.
    """
    cells = (cell for cell in read_cells(notebook) if cell["cell_type"] == "code")
    names = (name for cell in cells for name in imported(cell_tree(cell["source"], cell["place"])))
    return {name: digest[:SHORT] for name, digest in module_digests(names).items()}


def cell_tree(source: str, place: str) -> ast.Module:
    """Parse a cell, its magics as calls; empty for another language. Raises RunError that names the line."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        from IPython.core.inputtransformer2 import TransformerManager  # only a cell with magics needs it

    code = source.lstrip()
    if code.startswith("%%"):  # such as %%time: what follows counts where it is Python
        try:
            return cell_tree(code.partition("\n")[2], place)
        except RunError:
            return ast.Module([], [])
    lost = source[: len(source) - len(code)].count("\n")  # lines that IPython removes
    return parse("\n" * lost + TransformerManager().transform_cell(source), place)


def parse(text: str, place: str) -> ast.Module:
    """Parse a cell or module. Raises RunError that names place and line where it is not valid Python."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        found = f", found {error.text.strip()!r}" if error.text else ""
        raise RunError(f"{place}{line}: {error.msg}{found}; correct it and run make again") from error
    except ValueError as error:
        raise RunError(f"{place}: {error}; correct it and run make again") from error


def modules_digest(names: Iterable[str]) -> str:
    """Return one hash of modules of this package, by their dotted names, and of all modules that they import.

    Raises:
        RunError: a module is not valid Python.
    """
    return bytes_digest("\n".join(f"{name} {digest}" for name, digest in module_digests(names).items()).encode())


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """Hash the code, without comments and layout, of these modules and of all that they import, sorted by name."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = None if name in found else module_path(name)
        if path is None:
            continue
        found[name], further = module_digest(path)
        waiting += further
    return {name: found[name] for name in sorted(found)}


@cache
def module_digest(path: Path) -> tuple[str, list[str]]:
    """Return the hash of a module's code, and what it imports of this package. Raises RunError.

    Results are cached by the hash of the file's bytes, because parsing all modules takes 0.2 s.
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
    """Return the cache of earlier commands: hash of the code, and imports, by the hash of the bytes."""
    try:
        kept = json.loads(read_regular(module_cache(), LARGEST))
        return {key: (str(digest), [str(name) for name in names]) for key, (digest, names) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


@cache
def seen_digests() -> dict[str, tuple[str, list[str]]]:
    """Return the entries that this process has used so far."""
    return {}


def keep_digests() -> None:
    """Write the entries that this process used to the cache, where they differ from it."""
    if seen_digests().keys() != kept_digests().keys():
        with suppress(RunError):
            write_text(module_cache(), json.dumps(seen_digests()))


def imported(tree: ast.AST) -> set[str]:
    """Return dotted names of this package that a tree may import, in functions too, with the packages above them."""
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
    """Return the file of a module or package of ours; None for another name."""
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def code_version() -> str:
    """Return the git commit, `-dirty` where files differ; empty outside a repository of the project's own."""
    above = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}  # a repository above is not ours
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, timeout=10, env=above).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
