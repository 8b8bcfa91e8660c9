from __future__ import annotations

from pathlib import Path

import pytest

from traces.errors import TraceError
from traces.pm import CounterMapping, load_mapping
from traces.pm.mapping import BUNDLED, UNITS, bundled_mapping

GOOD = """\
schema: quietcell.counters/1
name: own
source: the exporter's manual
cell: ['NRCellDU=(?P<cell>[^,]+)$']
site: ['ManagedElement=(?P<site>[^,]+)']
fields:
  dl_prb_ratio:
    - counters: [used]
      divided_by: [available]
      unit: ratio
"""


def load(tmp_path: Path, text: str) -> CounterMapping:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_mappings_cover_all_fields(name: str) -> None:
    mapping = bundled_mapping(name)
    assert mapping.name == name and set(mapping.fields) == set(UNITS)


def test_a_good_mapping(tmp_path: Path) -> None:
    mapping = load(tmp_path, GOOD)
    (expression,) = mapping.fields["dl_prb_ratio"]
    assert expression.is_complete({"used", "available", "other"})
    assert not expression.is_complete({"used", "other"})


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("unit: ratio", "unit: Mbit", 6, "fields: dl_prb_ratio: unit 'Mbit' is not one of ratio, percent"),
        ("unit: ratio", "unit: ratio\n      factor: 2", 11, "fields.dl_prb_ratio.0.factor: Extra inputs"),
        ("      unit: ratio\n", "", 8, "fields.dl_prb_ratio.0.unit: Field required"),
        ("[used]", "[]", 8, "counters"),
        ("[used]", "['a*b']", 8, "a counter is one word"),
        ("[used]", "['*']", 8, "a counter is one word"),
        ("[used]", "used", 8, "counters"),
        ("unit: ratio", "unit: ratio\n      scale: 0", 11, "scale"),
        ("unit: ratio", "unit: ratio\n      reduce: pdf_mean", 8, "bin_centres and reduce: pdf_mean"),
        ("unit: ratio", "unit: ratio\n      accumulates: true", 8, "a running total is no quotient"),
        ("unit: ratio", "unit: ratio\n      object: x", 6, "object is required for site_energy_wh"),
        ("  dl_prb_ratio:", "  ul_prb_ratio:", 6, "dl_prb_ratio is missing"),
        ("  dl_prb_ratio:", "  prb:", 7, "fields.prb"),
        ("(?P<cell>[^,]+)", "([^,]+)", 4, "cell: each pattern needs a group"),
        ("(?P<cell>[^,]+)", "(?P<cell>", 4, "not a regular expression"),
        ("counters/1", "counters/2", 1, "schema"),
        ("name: own\n", "", 1, "name: Field required"),
        ("      unit: ratio\n", "      unit: ratio\n      unit: percent\n", 11, "unit: given twice"),
        ("fields:", "fields: [", 0, "not valid YAML"),
    ],
)
def test_errors_name_file_line_and_field(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    with pytest.raises(TraceError) as error:
        load(tmp_path, GOOD.replace(old, new))
    text = str(error.value)
    assert "own.yaml" in text and message in text
    if line:
        assert f"line {line}:" in text


def test_what_is_no_mapping_at_all(tmp_path: Path) -> None:
    for text in ("", "3", "[]", "a: b", "? [a]\n: 1\n", "a: &a [*a]\n"):
        with pytest.raises(TraceError, match=r"own\.yaml(, line 1)?: "):
            load(tmp_path, text)
    with pytest.raises(TraceError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml")
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match=r"own\.yaml"):
        load_mapping(tmp_path / "own.yaml")
