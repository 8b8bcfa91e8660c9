"""What a validation error means for the author of a YAML file: line, field, value, what is wrong, remedy."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]  # keys and list positions from the root

MAX_SHOWN = 60  # characters of a value

_WORDING = (("Input should be", "must be"), ("an object", "a mapping"), ("a valid array", "a list"))
_REMEDY = {
    "bool_type": "write true or false without quotes",
    "int_type": "write a whole number without quotes or decimal point",
    "float_type": "write a number without quotes",
    "string_type": "put it in quotes",
    "list_type": "write each entry on a line of its own after '- '",
    "tuple_type": "write each entry on a line of its own after '- '",
    "dict_type": "write 'name: value' lines below it",
    "model_type": "write 'name: value' lines below it",
}


def describe(
    error: ValidationError, model: type[BaseModel], line_of: Mapping[Location, int]
) -> list[tuple[int, str]]:
    """Line and text of each problem in ``error``. ``line_of`` gives the line of every path in the file."""
    problems = [_problem(detail, model, line_of) for detail in error.errors(include_url=False)]
    return list(dict.fromkeys(problems))


def _problem(
    detail: ErrorDetails, model: type[BaseModel], line_of: Mapping[Location, int]
) -> tuple[int, str]:
    path = _path_in_file(detail["loc"], line_of)
    line, kind, value = line_of[path], detail["type"], detail["input"]
    if kind == "missing":
        return line, _missing(path, detail["loc"][-1])
    if kind == "extra_forbidden":
        known = _fields_at(model, path[:-1])
        remedy = _did_you_mean(str(path[-1]), known) or f"known here: {', '.join(known)}"
        return line, f"{dotted(path)}: unknown field{_shown(value, ' (value {})')}; {remedy}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    for theirs, ours in _WORDING:
        message = message.replace(theirs, ours)
    remedy = _remedy(detail, path)
    return line, f"{dotted(path)}: {_shown(value, '{} ')}{message}" + (f"; {remedy}" if remedy else "")


def _missing(path: Location, field: str | int) -> str:
    if isinstance(field, int):
        return f"{dotted(path)}: entry {field + 1} is missing; add it"
    return f"{dotted((*path, field))}: required field is missing; add '{field}: <value>' under {dotted(path)}"


def _remedy(detail: ErrorDetails, path: Location) -> str:
    """What to write instead, or "" where the message says it already."""
    kind, value = detail["type"], detail["input"]
    if kind.startswith("less_than") and dotted(path).endswith(("_ratio", "_share")):
        return f"ratios are 0..1: write {value / 100:g} for {value:g} %"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        context = detail.get("ctx", {})
        offered = re.findall(r"'([^']*)'", str(context.get("expected_tags", context.get("expected", ""))))
        return _did_you_mean(str(context.get("tag", value)), offered)
    return _REMEDY.get(kind, "")


def _path_in_file(location: Location, line_of: Mapping[Location, int]) -> Location:
    """The part of a pydantic location that exists in the file; union tags and the like are left out."""
    path: Location = ()
    for part in location:
        if (*path, part) in line_of:
            path = (*path, part)
    return path


def _fields_at(model: type[BaseModel], path: Location) -> list[str]:
    """Names of the fields that may stand at ``path``, found by walking the annotations of ``model``."""
    here = _members(model)
    for part in path:
        here = [inner for annotation in here for inner in _under(annotation, part)]
    return sorted({name for annotation in here if _is_model(annotation) for name in _fields(annotation)})


def _under(annotation: Any, part: str | int) -> list[Any]:
    """The types of what stands under ``part`` in a value of type ``annotation``."""
    if not _is_model(annotation):  # a container: what it holds
        return [leaf for inner in get_args(annotation) for leaf in _members(inner)]
    fields = _fields(annotation)
    return _members(fields[str(part)]) if part in fields else []


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Type of each field, by the name that the file uses."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _members(annotation: Any) -> list[Any]:
    """``annotation``, or the members of a union; a root model stands for what it holds."""
    if _is_model(annotation) and issubclass(annotation, RootModel):
        return _members(annotation.model_fields["root"].annotation)
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return [annotation]
    return [member for inner in get_args(annotation) for member in _members(inner)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _did_you_mean(word: str, offered: list[str]) -> str:
    by_lower = {name.lower(): name for name in offered}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"did you mean '{by_lower[close[0]]}'?" if close else ""


def _shown(value: Any, pattern: str) -> str:
    """A scalar as YAML writes it, put into ``pattern``; "" for a mapping or list, whose line says enough."""
    if isinstance(value, dict | list):
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return pattern.format(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def dotted(path: Location) -> str:
    """A path for people: ``limits.target_mbit_s``; the root is "the file"."""
    return ".".join(str(part) for part in path) or "the file"
