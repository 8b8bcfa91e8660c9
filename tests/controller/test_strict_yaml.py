"""Strict YAML: what is accepted means the same everywhere; what is refused names line, field and remedy."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from controller import strict_yaml
from controller.errors import ConfigError
from controller.strict_yaml import load_yaml, parse_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Timer(_Strict):
    kind: Literal["timer"]
    dwell_s: int = Field(ge=60)


class _Threshold(_Strict):
    kind: Literal["threshold"]
    low_load_ratio: float = Field(ge=0, le=1)
    high_load_ratio: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> _Threshold:
        if self.low_load_ratio >= self.high_load_ratio:
            raise ValueError("low_load_ratio must be below high_load_ratio")
        return self


class _Config(_Strict):
    name: str
    schema_name: str = Field(default="", alias="schema")
    seed: int = 0
    guard: bool = True
    valid_from: date | None = None
    world: Literal["cat1", "cat2"] = "cat1"
    span: tuple[int, int] = (0, 24)
    rate_of_txru: dict[int, float] = {}
    policies: list[Annotated[_Timer | _Threshold, Field(discriminator="kind")]] = []
    by_area: dict[str, _Threshold] = {}


class _Either(RootModel[Annotated[_Timer | _Threshold, Field(discriminator="kind")]]):
    pass


class _Any(_Strict):
    v: Any = None


FULL = """\
name: night
seed: 7
guard: false
valid_from: 2026-11-22
span: [1, 5]
rate_of_txru: {64: 1, 32: 0.85}
policies:
  - kind: timer
    dwell_s: 600
  - kind: threshold
    low_load_ratio: 0.1
by_area:
  urban: {kind: threshold, low_load_ratio: 0.2}
"""


def _message(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, _Config, "c.yaml")
    return str(caught.value)


def test_reads_every_kind_of_value() -> None:
    config = parse_yaml(FULL, _Config, "c.yaml")
    assert config.valid_from == date(2026, 11, 22)
    assert config.span == (1, 5)
    assert config.rate_of_txru == {64: 1.0, 32: 0.85}
    assert config.policies[0] == _Timer(kind="timer", dwell_s=600)
    assert config.by_area["urban"].low_load_ratio == 0.2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 7", "seeed: 7", "c.yaml:2: seeed: unknown field (value 7); did you mean 'seed'?"),
        ("seed: 7", "SEED: 7", "did you mean 'seed'?"),
        ("seed: 7", "schemma: 7", "did you mean 'schema'?"),
        ("seed: 7", "zzz: 7", "c.yaml:2: zzz: unknown field (value 7); known here: by_area, guard, name"),
        ("seed: 7", "zzz: {a: 1}", "c.yaml:2: zzz: unknown field; known here"),
        ("seed: 7", 'seed: "7"', 'c.yaml:2: seed: "7" must be a valid integer; write a whole number'),
        ("seed: 7", "seed: 7.0", "c.yaml:2: seed: 7.0 must be a valid integer; write a whole number"),
        ("seed: 7", "seed: true", "c.yaml:2: seed: true must be a valid integer"),
        ("seed: 7", "seed:", "c.yaml:2: seed: null must be a valid integer"),
        ("guard: false", "guard: 0", "c.yaml:3: guard: 0 must be a valid boolean; write true or false"),
        ("name: night", "name: 12", "c.yaml:1: name: 12 must be a valid string; put it in quotes"),
        ("name: night", "", "c.yaml:2: name: required field is missing; add 'name: <value>' under the file"),
        ("2026-11-22", "tomorrow", 'c.yaml:4: valid_from: "tomorrow" must be a valid date'),
        ("[1, 5]", "[1]", "c.yaml:5: span: entry 2 is missing; add it"),
        ("[1, 5]", "[1, x]", 'c.yaml:5: span.1: "x" must be a valid integer'),
        ("[1, 5]", "{a: 1}", "c.yaml:5: span: must be a list; write each entry on a line of its own"),
        ("{64: 1, 32: 0.85}", "\n  64: all", 'c.yaml:7: rate_of_txru.64: "all" must be a valid number'),
        ("[1, 5]", "\n\n    a: 1", "c.yaml:5: span: must be a list"),
        ("{64: 1, 32: 0.85}", "{many: 1}", 'c.yaml:6: rate_of_txru.many: "many" must be a valid integer'),
        ("seed: 7", "world: cat3", "c.yaml:2: world: \"cat3\" must be 'cat1' or 'cat2'; did you mean 'cat"),
        ("kind: timer", "kind: timr", "did you mean 'timer'?"),
        ("dwell_s: 600", "dwell_s: 5", "c.yaml:9: policies.0.dwell_s: 5 must be greater than or equal to 60"),
        (
            "dwell_s: 600",
            "dwel_s: 600",
            "c.yaml:9: policies.0.dwel_s: unknown field (value 600); did you mean 'd",
        ),
        (
            "dwell_s: 600",
            "",
            "c.yaml:8: policies.0.dwell_s: required field is missing; add 'dwell_s: <value>'",
        ),
        ("low_load_ratio: 0.1", "low_load_ratio: 35", "c.yaml:11: policies.1.low_load_ratio: 35"),
        ("low_load_ratio: 0.1", "low_load_ratio: 35", "ratios are 0..1: write 0.35 for 35 %"),
        ("low_load_ratio: 0.1", "low_load_ratio: 0.6", "policies.1: low_load_ratio must be below high_load"),
        (
            "low_load_ratio: 0.2",
            "low_ratio: 0.2",
            "c.yaml:13: by_area.urban.low_ratio: unknown field (value 0.2)",
        ),
        ("low_load_ratio: 0.2", "low_ratio: 0.2", "did you mean 'low_load_ratio'?"),
    ],
)
def test_model_problems_name_line_field_value_and_remedy(old: str, new: str, expected: str) -> None:
    assert old in FULL
    assert expected in _message(FULL.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml:1: the file is empty"),
        ("# only a comment\n", "c.yaml:1: the file is empty"),
        ("- a\n", "c.yaml:1: the file must hold a mapping"),
        ("\n\nnight\n", "c.yaml:3: the file must hold a mapping"),
        ("---\n", "the file must hold a mapping"),
        ("name: a\nname: b\n", "c.yaml:2: name: the key appears twice, first in line 1; keep one of them"),
        ("by_area:\n  a: 1\n  a: 2\n", "c.yaml:3: by_area.a: the key appears twice, first in line 2"),
        ("a: 1\n'a': 2\n", "c.yaml:2: a: the key appears twice"),
        ("name: a\n\tseed: 1\n", "c.yaml:2: column 1: a tab where YAML wants spaces"),
        ("name:\tx\n", "c.yaml:1: column 6: a tab where YAML wants spaces"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2: column 1: a second document begins"),
        ("a: 'x\n", "not valid YAML while scanning a quoted scalar"),
        ("a: b: c\n", "c.yaml:1: column 5: not valid YAML"),
        ("a: *nope\n", "c.yaml:1: column 4: not valid YAML: found undefined alias 'nope'"),
        ("a: !!python/object:os.system x\n", "c.yaml:1: column 4: tag '"),
        ("a: !!str 1\n", "is not supported; remove it"),
        ("a: 1\nb: \x01\n", "c.yaml:2: character #x0001 is not allowed"),
        ("a: &x [1, *x]\n", "c.yaml:1: a.1: an alias contains itself"),
        ("? [a, b]\n: 1\n", "c.yaml:1: the file: key"),
        ("true: 1\n", "c.yaml:1: the file: key 'true' is neither text nor a whole number; put it in quotes"),
        ("<<: {a: 1}\n", "c.yaml:1: the file: '<<' is a key with a meaning of its own"),
        ("no: 1\n", "c.yaml:1: the file: 'no' is text in one YAML version and true or false in another"),
        ("a:\n  b: on\n", "c.yaml:2: a.b: 'on' is text in one YAML version"),
        (
            "a: 1e3\n",
            "a: '1e3' is text in one YAML version and a number in another; write the number in full",
        ),
        ("a: 1_000\n", "'1_000' is text in one YAML version and a number in another"),
        ("a: 010\n", "'010' is decimal, octal or text, depending on the YAML version"),
        (
            "a: 22:30\n",
            "'22:30' is text in one YAML version and a number to base 60 in another; put a time in q",
        ),
        ("a: .nan\n", "'.nan' is not a finite number"),
        ("a: 1.0e+999\n", "is too large for a number"),
        ("a: 12345678901234567890\n", "has more than 18 digits"),
        ('a: "\\ud800"\n', "half of a surrogate pair"),
    ],
)
def test_text_problems_name_line_and_remedy(text: str, expected: str) -> None:
    assert expected in _message(text)


@pytest.mark.parametrize("word", ["y", "Y", "n", "yes", "Yes", "YES", "no", "NO", "on", "On", "off", "OFF"])
def test_yes_and_no_words_are_refused_unless_quoted(word: str) -> None:
    assert "write true or false, or put it in quotes" in _message(f"name: {word}")
    assert parse_yaml(f"name: '{word}'", _Config, "c.yaml").name == word


def test_all_problems_are_reported_in_order_of_lines_up_to_a_limit() -> None:
    lines = _message("name: a\n" + "".join(f"x{i}: {i}\n" for i in range(15))).splitlines()
    assert [line.split(":")[1] for line in lines[:10]] == [str(i) for i in range(2, 12)]
    assert lines[10:] == ["c.yaml: and 5 more problems"]


def test_alias_bomb_is_stopped_early() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "after aliases are written out" in _message("\n".join(rows))


def test_depth_is_limited_with_and_without_aliases() -> None:
    assert "nested deeper than" in _message("a: " + "[" * 5000)
    deep = "[" * 20
    rows = [f"a0: &a0 {deep}1{']' * 20}"] + [f"a{i}: &a{i} {deep}*a{i - 1}{']' * 20}" for i in range(1, 90)]
    assert "after aliases are written out" in _message("\n".join(rows))


def test_aliases_within_the_limit_are_read() -> None:
    values = parse_yaml("v: [&x {a: 1}, *x]", _Any, "c.yaml").v
    assert values == [{"a": 1}, {"a": 1}]


def test_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_yaml, "MAX_CHARACTERS", 5)
    assert "longer than 5 characters" in _message("name: night")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.encode())
    assert load_yaml(path, _Config).seed == 7
    path.write_bytes(b"name: a\nworld: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:2: the text is not UTF-8"):
        load_yaml(path, _Config)
    with pytest.raises(ConfigError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml", _Config)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path, _Config)


def test_a_root_model_is_looked_through() -> None:
    assert parse_yaml("kind: timer\ndwell_s: 60\n", _Either, "c.yaml").root == _Timer(
        kind="timer", dwell_s=60
    )
    with pytest.raises(
        ConfigError, match=r"c\.yaml:2: dwel_s: unknown field \(value 60\); did you mean 'dwell_s'"
    ):
        parse_yaml("kind: timer\ndwel_s: 60\n", _Either, "c.yaml")


def test_a_model_that_ignores_fields_is_our_mistake() -> None:
    class Loose(BaseModel):
        a: int = 0

    with pytest.raises(TypeError, match="forbid"):
        parse_yaml("a: 1", Loose, "c.yaml")


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
_trees = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz_", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_trees)
def test_what_a_writer_dumps_is_read_back_or_refused_for_its_spelling(tree: Any) -> None:
    text = yaml.safe_dump({"v": tree})
    try:
        read = parse_yaml(text, _Any, "c.yaml").v
    except ConfigError as error:  # a writer that quotes too little for other YAML versions, such as for 1e3
        assert "YAML version" in str(error) or "not allowed" in str(error)
    else:
        assert read == tree


_spellings = st.text("0123456789+-._eE:xobXyYnNoOfF~<=naIitrueTRUElsdN ", max_size=9)


@given(_spellings)
def test_a_plain_scalar_means_what_the_reference_reader_says_or_is_refused(text: str) -> None:
    try:
        ours = parse_yaml(f"v: {text}\n", _Any, "c.yaml").v
    except ConfigError:
        return
    theirs = yaml.safe_load(f"v: {text}\n")["v"]
    if isinstance(theirs, date):
        theirs = text.strip()
    assert type(ours) is type(theirs)
    assert ours == theirs
    assert not isinstance(ours, float) or math.isfinite(ours)


@given(st.text(max_size=60) | st.text("ab:- \n\t[]{}&*!|>'\"#%@`,?0", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        parse_yaml(text, _Config, "c.yaml")
    except ConfigError as error:
        assert str(error).startswith("c.yaml:")


@given(st.integers(0, len(FULL) - 1), st.sampled_from("\t:-[]{}&*#\"'|>%@\n x0"), st.booleans())
def test_a_typo_anywhere_is_read_or_refused_inside_the_file(place: int, typo: str, keep: bool) -> None:
    text = FULL[:place] + typo + FULL[place + (0 if keep else 1) :]
    try:
        parse_yaml(text, _Config, "c.yaml")
    except ConfigError as error:
        for line in str(error).splitlines():
            assert 1 <= int(line.split(":")[1]) <= text.count("\n") + 1
