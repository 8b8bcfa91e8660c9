"""Which counters of a measurement file mean what: ``CounterMapping``, read from YAML. See docs/pm-xml.md.

A mapping is declared, never guessed: every expression names its counters and its unit. Two are bundled, for
the names of TS 28.552 and for Ericsson nodes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from traces.errors import TraceError

SCHEMA = "quietcell.counters/1"
BUNDLED = ("3gpp", "ericsson")  # in the order in which they are tried

FieldName = Literal[
    "dl_prb_ratio", "ul_prb_ratio", "dl_volume_bit", "ul_volume_bit", "active_users", "site_energy_wh"
]
RATIO_FIELDS = ("dl_prb_ratio", "ul_prb_ratio")
SITE_FIELD = "site_energy_wh"

_RATIO = {"ratio": 1.0, "percent": 100.0}
_VOLUME = {
    "bit": 1.0,
    "kbit": 1e-3,
    "Mbit": 1e-6,
    "Gbit": 1e-9,
    "byte": 1 / 8,
    "kbyte": 1e-3 / 8,
    "Mbyte": 1e-6 / 8,
    "Gbyte": 1e-9 / 8,
}
# How much of the unit makes one ratio, bit, user or Wh. "W" is a mean power: the period makes it energy.
UNITS: dict[str, dict[str, float]] = {
    "dl_prb_ratio": _RATIO,
    "ul_prb_ratio": _RATIO,
    "dl_volume_bit": _VOLUME,
    "ul_volume_bit": _VOLUME,
    "active_users": {"users": 1.0},
    SITE_FIELD: {"Wh": 1.0, "kWh": 1e-3, "J": 3600.0, "kJ": 3.6, "MJ": 3.6e-3, "W": 1.0},
}


def _valid_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _valid_counter(text: str) -> str:
    if not text.removesuffix("*") or "*" in text[:-1] or len(text.split()) != 1:
        raise ValueError("a counter is one word; * may stand only at its end, for any ending")
    return text


Pattern = Annotated[str, AfterValidator(_valid_pattern)]
Counter = Annotated[str, AfterValidator(_valid_counter)]


class Expression(BaseModel):
    """The sum of ``counters``, divided by the sum of ``divided_by`` if that is given, in ``unit``.

    A counter that ends in ``*`` stands for all counters with that beginning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    counters: Annotated[tuple[Counter, ...], Field(min_length=1)]
    divided_by: tuple[Counter, ...] = ()
    unit: str
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0  # value x scale is in ``unit``
    reduce: Literal["sum", "mean", "first", "pdf_mean"] | None = None  # how a vector becomes a number
    bin_centres: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()  # for pdf_mean
    object: Pattern | None = None  # which objects carry the energy of a site
    accumulates: bool = False  # the counter is a running total; the step is its increase

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.reduce == "pdf_mean") != bool(self.bin_centres):
            raise ValueError("bin_centres and reduce: pdf_mean belong together")
        if self.accumulates and (self.divided_by or self.unit == "W"):
            raise ValueError("a running total is no quotient and no power: drop divided_by, or accumulates")
        return self

    def is_complete(self, names: Collection[str]) -> bool:
        """Whether all counters of the expression are among ``names``."""
        return all(
            counter in names if counter[-1] != "*" else any(n.startswith(counter[:-1]) for n in names)
            for counter in (*self.counters, *self.divided_by)
        )


Fields = dict[FieldName, Annotated[tuple[Expression, ...], Field(min_length=1)]]


class CounterMapping(BaseModel):
    """How the counters of one exporter become the fields of a trace.

    ``cell`` and ``site`` are regular expressions with a group of that name, searched in the full name of the
    measured object; the first that matches counts. Of the expressions of a field, a row uses the first for
    which it has values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_name: Literal["quietcell.counters/1"] = Field(alias="schema")
    name: str
    source: str  # where names and units come from
    cell: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    site: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    fields: Fields

    @field_validator("cell", "site")
    @classmethod
    def _has_group(cls, patterns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if any(f"(?P<{info.field_name}>" not in pattern for pattern in patterns):
            raise ValueError(f"each pattern needs a group (?P<{info.field_name}>...)")
        return patterns

    @field_validator("fields")
    @classmethod
    def _fit_together(cls, fields: Fields) -> Fields:
        if "dl_prb_ratio" not in fields:
            raise ValueError("dl_prb_ratio is missing; a trace needs downlink PRB utilisation")
        for name, expression in ((name, one) for name, several in fields.items() for one in several):
            if expression.unit not in UNITS[name]:
                raise ValueError(f"{name}: unit {expression.unit!r} is not one of {', '.join(UNITS[name])}")
            if (expression.object is None) == (name == SITE_FIELD):
                raise ValueError(f"{name}: object is required for {SITE_FIELD} and only there")
        return fields


def load_mapping(path: Path) -> CounterMapping:
    """Read a mapping from a YAML file.

    Raises TraceError naming file, line and field if it cannot be read, is not YAML or does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = list(_repeated_keys(node))
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise TraceError(f"{path}: cannot be read as a counter mapping: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise TraceError(
            f"{path}, line {line}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from error
    if repeated:
        key = repeated[0]
        line = key.start_mark.line + 1
        raise TraceError(f"{path}, line {line}: {key.value}: given twice; keep one; see docs/pm-xml.md")
    try:
        return CounterMapping.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "mapping"
        message = first["msg"].removeprefix("Value error, ")
        raise TraceError(
            f"{path}, line {_line_of(node, first['loc'])}: {place}: {message}; see docs/pm-xml.md"
        ) from error


def _repeated_keys(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Keys that their mapping already has; YAML would drop the earlier without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line of the innermost part of ``location`` that the document has."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        found: Any = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


@cache
def bundled_mapping(name: str) -> CounterMapping:
    """A mapping that comes with the package; ``name`` is one of ``BUNDLED``."""
    return load_mapping(Path(__file__).parent / "mappings" / f"{name}.yaml")
