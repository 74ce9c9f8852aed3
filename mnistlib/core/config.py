"""Read parameters: profiles in YAML, overlaid and overridden, validated, split into sections for the notebooks."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Hashable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mnistlib.core.config_schema import RENAMED, Params, fault
from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, read_regular, shown

PROFILES = ROOT / "params"
DEFAULT = "default"
LARGEST_FILE = 100_000
MOST_BRACKETS = 500


class ParamsError(RunError):
    """A parameter or a parameter file is invalid; the message has one line for each fault."""


class Loader(yaml.SafeLoader):
    """Parse numbers and booleans as YAML 1.2 does, and refuse duplicate keys and aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1}: aliases (*name) are not supported")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (KeyError, AttributeError, TypeError, IndexError) as error:  # raised for a wrong !!tag
            found = f"{node.value!r:.80}" if isinstance(node, yaml.ScalarNode) else f"a {node.id}"
            problem = f"{found} is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        names = [self.construct_object(key, deep=True) for key, _ in pairs]
        counts = Counter(name for name in names if isinstance(name, Hashable))
        twice = sorted(str(name) for name, count in counts.items() if count > 1)
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is defined twice")
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))
Loader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(node.value, 0 if re.match(r"0[ox]", node.value) else 10),
)


class Dumper(yaml.SafeDumper):
    """Quote text that YAML 1.1 or 1.2 would read as another type, such as `0E0`, a number in YAML 1.2 only."""


for first, resolvers in Loader.yaml_implicit_resolvers.items():
    for tag, pattern in resolvers:
        Dumper.add_implicit_resolver(tag, pattern, [first])


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML text. Raises ParamsError that names `where` and the line."""
    if text.count("[") + text.count("{") > MOST_BRACKETS:  # the parser takes seconds to scan nested ones
        raise ParamsError(f"{where}: not valid YAML: more than {MOST_BRACKETS} brackets")
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        what = getattr(error, "problem", None) or error
        what = "nested too deeply" if isinstance(error, RecursionError) else what
        raise ParamsError(f"{where}:{line} not valid YAML: {what}") from error


parse_once = lru_cache(maxsize=16)(parse_yaml)  # one command reads the same few files many times; copy what it returns


def dump_yaml(content: dict[str, Any]) -> str:
    """Return a mapping as YAML that `parse_yaml` reads back equal."""
    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    if re.search("[\x85\u2028\u2029]", text):  # YAML folds these line ends unless they are escaped
        text = yaml.dump(content, Dumper=Dumper, sort_keys=False)
    return text


def load_file(path: Path) -> dict[str, Any]:
    """Load the mapping in a YAML file. Raises ParamsError when it is missing, unreadable or something else."""
    try:
        text = read_regular(Path(os.path.realpath(path)), LARGEST_FILE).decode()
    except FileNotFoundError:
        raise ParamsError(f"PARAMS: there is no {shown(path)}; {profiles_hint(path.stem)}") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{shown(path)} cannot be read as UTF-8 text: {error}") from error
    except OSError as error:
        raise ParamsError(f"{shown(path)} cannot be read: {error}") from error
    content = deepcopy(parse_once(text, shown(path)))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ParamsError(f"{shown(path)} holds a {type(content).__name__}, not a mapping of sections")
    return content


def profiles_hint(name: str) -> str:
    """List the profiles, and suggest the one whose name is nearest."""
    names = sorted(f.stem for f in PROFILES.glob("*.yaml"))
    near = difflib.get_close_matches(name, names, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}profiles: {', '.join(names)}"


def profile_path(name: str) -> Path:
    """Return a profile's file, from its name in params/ or from a path that ends in .yaml."""
    return ROOT / name if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` on top, section by section; neither is changed."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def parse_overrides(text: str) -> dict[str, Any]:
    """Parse the words of SET into a nested mapping.

    Args:
        text: words `section.name=value`, with values in YAML. A word without `=` continues the value before it; an
            empty value is the empty text.

    Raises:
        ParamsError: a word has another form, or its value is invalid YAML.
    """
    words = re.split(r"(?<!\s)\s+(?=[^\s=\[\]{}\"']+=)", text.strip())
    result: dict[str, Any] = {}
    for word in filter(None, words):
        name, equals, value = word.partition("=")
        parts = name.strip().split(".")
        if not equals or not all(parts) or len(parts) > 2:
            raise ParamsError(f"SET: {word!r} is not section.name=value, such as train.epochs=3")
        parsed = parse_yaml(value, f"SET {name}") if value else ""
        result = overlay(result, {parts[0]: parsed} if len(parts) == 1 else {parts[0]: {parts[1]: parsed}})
    return result


def load(profile: str = DEFAULT, overrides: str = "") -> Params:
    """Load a profile on top of the default profile, apply overrides and validate the result.

    Args:
        profile: a name in params/, or the path of a YAML file.
        overrides: words `section.name=value`, as in SET.

    Raises:
        ParamsError: a file or a parameter is invalid; one line for each fault.
    """
    content = load_file(profile_path(DEFAULT))
    if profile != DEFAULT:
        content = overlay(content, load_file(profile_path(profile)))
    wanted = f"PARAMS={profile}" + (f" SET={overrides!r}" if overrides else "")
    return check(overlay(content, parse_overrides(overrides)), wanted)


def check(content: Any, where: str) -> Params:
    """Validate parameters; `where` names their source. Raises ParamsError with a line for each fault."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError("\n".join(f"{where}: {fault(e)}" for e in error.errors())) from None


def notebook_parameters(params: Params, section: str, run: str) -> dict[str, Any]:
    """Return the parameters of a notebook: its flat section, the seed and the run."""
    return {"run": run, "seed": params.seed, **getattr(params, section).model_dump()}


def flatten(content: dict[str, Any]) -> dict[str, Any]:
    """Flatten nested mappings into one with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = flatten(value) if isinstance(value, dict) else {"": value}
        flat.update({f"{key}.{name}".rstrip("."): v for name, v in inner.items()})
    return flat


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Nest a mapping with dotted names into sections."""
    content: dict[str, Any] = {}
    for name, value in flat.items():
        section, _, key = name.rpartition(".")
        (content.setdefault(section, {}) if section else content)[key] = value
    return content


def with_new_names(content: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an earlier run with the names that renamed ones have now."""
    return nested({RENAMED.get(name, name): value for name, value in flatten(content).items()})
