"""Strict YAML: a file becomes a validated model, or an error that names the line and the remedy.

Only what every YAML version reads alike is accepted. ``yes``, ``1e3``, ``010``, ``12:30`` and the like are
text in one version and a truth value or a number in another, so they are refused instead of guessed. Tags,
merge keys and duplicate keys are refused too. Values keep their type: "3" is not 3, and 1 is not true.

::

    text -> nodes (PyYAML: syntax, depth) -> plain values and the line of each (_Builder: scalars, keys, size)
         -> model (pydantic, strict) -> ConfigError with one line for each problem
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from controller.errors import ConfigError
from controller.yaml_advice import MAX_SHOWN, Location, describe, dotted

M = TypeVar("M", bound=BaseModel)

MAX_CHARACTERS = 8_000_000
MAX_DEPTH = 40
MAX_VALUES = 400_000  # after aliases are expanded
MAX_PROBLEMS_SHOWN = 10
MAX_INTEGER_DIGITS = 18  # fits 64 bits

_NULL = re.compile(r"(?:|~|null|Null|NULL)")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"(?:[-+]?[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_QUOTE = "put it in quotes if it is text"
# Plain scalars that YAML versions read differently: pattern, what it is, remedy. The first that fits counts.
_AMBIGUOUS = tuple(
    (re.compile(pattern, re.IGNORECASE), what, remedy)
    for pattern, what, remedy in (
        (
            r"y|n|yes|no|on|off",
            "is text in one YAML version and true or false in another",
            f"write true or false, or {_QUOTE}",
        ),
        (
            r"[-+]?(?:0[0-9_]+|0b[01_]+|0o[0-7_]+|0x[0-9a-f_]+)",
            "is decimal, octal or text, depending on the YAML version",
            f"write a decimal number without leading zeros, or {_QUOTE}",
        ),
        (
            r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:e[-+]?[0-9]+)?",
            "is text in one YAML version and a number in another",
            f"write the number in full, such as 1000.0 for 1e3 or 1_000.0, or {_QUOTE}",
        ),
        (
            r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?",
            "is text in one YAML version and a number to base 60 in another",
            "put a time in quotes",
        ),
        (r"[-+]?\.inf|\.nan", "is not a finite number", f"write a finite number, or {_QUOTE}"),
        (r"<<|=", "is a key with a meaning of its own in some YAML versions", "write the fields out"),
    )
)


def load_yaml(path: Path, model: type[M]) -> M:
    """Read a YAML file into ``model``.

    Raises ConfigError if the file cannot be read, is not UTF-8, or for any reason of ``parse_yaml``.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: the file does not exist; check the path") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: the file cannot be read ({error.strerror}); check path and rights"
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: the text is not UTF-8; save the file as UTF-8") from None
    return parse_yaml(text, model, str(path))


def parse_yaml(text: str, model: type[M], name: str) -> M:
    """Read YAML text into ``model``. ``name`` stands for the file.

    ``model`` is a pydantic model with ``extra="forbid"``, or a root model of such models.

    Raises ConfigError for bad syntax, an empty text, a root that is no mapping, duplicate keys, values that
    YAML versions read differently, unknown or missing fields, wrong types, values that ``model`` refuses, and
    texts beyond the limits of this module. All problems of one stage are reported together.
    """
    if not issubclass(model, RootModel) and model.model_config.get("extra") != "forbid":
        raise TypeError(f"{model.__name__} must be declared with extra='forbid'")
    root = _compose(text, name)
    builder = _Builder(name)
    values = builder.build(root, ())
    if builder.problems:
        raise _error(name, builder.problems)
    try:
        # JSON mode: lists may become tuples and text dates, but numbers, text and truth values stay apart.
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise _error(name, describe(error, model, builder.line_of)) from None


def _error(name: str, problems: list[tuple[int, str]]) -> ConfigError:
    ordered = sorted(problems, key=lambda problem: problem[0])
    lines = [f"{name}:{line}: {what}" for line, what in ordered[:MAX_PROBLEMS_SHOWN]]
    if len(ordered) > MAX_PROBLEMS_SHOWN:
        lines.append(f"{name}: and {len(ordered) - MAX_PROBLEMS_SHOWN} more problems")
    return ConfigError("\n".join(lines))


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that this reader does not take."""


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses tags and deep nesting before Python's own recursion limit does."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _Refused(None, None, f"tag {event.tag!r} is not supported; remove it", event.start_mark)
        if self.depth >= MAX_DEPTH:
            raise _Refused(None, None, f"nested deeper than {MAX_DEPTH} levels; flatten it", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, name: str) -> yaml.MappingNode:
    """The root mapping of ``text``; every complaint of PyYAML becomes a ConfigError."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{name}: longer than {MAX_CHARACTERS} characters; split the file")
    try:
        root = yaml.compose(text, _Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{name}:{line}: character #x{ord(text[error.position]):04x} is not allowed; remove it"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{name}:{_syntax(error)}") from None
    if root is None:
        raise ConfigError(f"{name}:1: the file is empty; write at least one field")
    if not isinstance(root, yaml.MappingNode):
        line = root.start_mark.line + 1
        raise ConfigError(f"{name}:{line}: the file must hold a mapping; write fields as 'name: value'")
    return root


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Line, complaint and remedy for an error of PyYAML's scanner, parser or composer."""
    mark = error.problem_mark or error.context_mark
    place = f"{mark.line + 1}: column {mark.column + 1}: " if mark else "1: "
    problem = error.problem or "not YAML"
    if isinstance(error, _Refused):
        return f"{place}{problem}"
    if "'\\t'" in problem:
        return f"{place}a tab where YAML wants spaces; indent and separate with spaces"
    if "another document" in problem:
        return f"{place}a second document begins; keep one document in a file"
    where = f" {error.context}" if error.context else ""
    return f"{place}not valid YAML{where}: {problem}"


class _Builder:
    """Turns nodes into plain values and remembers the line of every path."""

    def __init__(self, name: str) -> None:
        self.line_of: dict[Location, int] = {}
        self.problems: list[tuple[int, str]] = []
        self._name = name
        self._n_values = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: Location) -> Any:
        """The value of ``node``, which stands at ``path``."""
        line = node.start_mark.line + 1
        self.line_of.setdefault(path, line)
        self._n_values += 1
        if self._n_values > MAX_VALUES or len(path) > MAX_DEPTH:
            limits = f"more than {MAX_VALUES} values or {MAX_DEPTH} levels"
            raise ConfigError(f"{self._name}:{line}: {limits} after aliases are written out; use fewer")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self.problems.append((line, f"{dotted(path)}: an alias contains itself; write the value out"))
            return None
        self._open.add(id(node))
        value = (
            self._sequence(node, path) if isinstance(node, yaml.SequenceNode) else self._mapping(node, path)
        )
        self._open.remove(id(node))
        return value

    def _sequence(self, node: yaml.SequenceNode, path: Location) -> list[Any]:
        return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: yaml.Node, path: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            before = len(self.problems)
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if len(self.problems) > before:
                continue
            if isinstance(key, bool) or not isinstance(key, str | int):
                what = f"key {str(key_node.value)[:MAX_SHOWN]!r} is neither text nor a whole number"
                self.problems.append((line, f"{dotted(path)}: {what}; put it in quotes"))
                continue
            here = (*path, str(key))
            if str(key) in values:
                first = self.line_of[here]
                what = f"the key appears twice, first in line {first}; keep one of them"
                self.problems.append((line, f"{dotted(here)}: {what}"))
                continue
            self.line_of[here] = line
            values[str(key)] = self.build(value_node, here)
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Location) -> str | int | float | bool | None:
        text: str = node.value
        try:
            return _plain(text) if node.style is None else _text(text)
        except ValueError as error:
            line = node.start_mark.line + 1
            self.problems.append((line, f"{dotted(path)}: {text[:MAX_SHOWN]!r} {error}"))
            return None


def _plain(text: str) -> str | int | float | bool | None:
    """The value of a scalar without quotes. Raises ValueError, with a remedy, where YAML versions differ."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        if len(text.lstrip("+-")) > MAX_INTEGER_DIGITS:
            raise ValueError(f"has more than {MAX_INTEGER_DIGITS} digits; {_QUOTE}")
        return int(text)
    if _FLOAT.fullmatch(text):
        if not math.isfinite(float(text)):
            raise ValueError(f"is too large for a number; write a smaller one, or {_QUOTE}")
        return float(text)
    for pattern, what, remedy in _AMBIGUOUS:
        if pattern.fullmatch(text):
            raise ValueError(f"{what}; {remedy}")
    return _text(text)


def _text(text: str) -> str:
    """``text`` itself. Raises ValueError for half of a surrogate pair, which no encoding can carry."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds half of a surrogate pair; write the character itself")
    return text
