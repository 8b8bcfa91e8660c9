"""The page is one well-formed file that loads nothing, runs nothing from data and holds what it was given."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.report import page as page_module
from controller.report.axis import offset_text
from controller.report.page import write_page
from controller.report.pagedata import PageData
from controller.report.payload import Packer, script_json

Made = tuple[dict[str, Any], PageData]
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&${css}<!--"
VOID = {"meta", "link", "input", "br"}
LOADING = {
    "src",
    "srcset",
    "href",
    "xlink:href",
    "data",
    "poster",
    "action",
    "formaction",
    "background",
    "ping",
}
ASSETS = Path(page_module.__file__).parent / "assets"


class Checked(HTMLParser):
    """Collects tags and attributes and insists that every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"repeated attribute in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            name = self.tags[-1][1].get("id") or "code"
            self.scripts[name] = self.scripts.get(name, "") + data
        elif self.open and self.open[-1] != "style":
            self.text += data


def written(path: Path, made: Made) -> tuple[str, Checked]:
    write_page(path, *made)
    text = path.read_text(encoding="utf-8")
    return text, Checked(text)


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, make_report: Callable[..., Made]
) -> tuple[Made, str, Checked]:
    made = make_report()
    return (made, *written(tmp_path_factory.mktemp("page") / "report.html", made))


def arrays_of(html: Checked) -> dict[str, np.ndarray]:
    """A twin of assets/decode.js."""
    content = zlib.decompress(base64.b64decode(html.scripts["arrays"]))
    found = {}
    for name, entry in json.loads(html.scripts["data"])["arrays"].items():
        count = int(np.prod(entry["shape"]))
        kind = np.dtype(entry["dtype"]).newbyteorder("<")
        values = np.frombuffer(content, kind, count, entry["offset"]).reshape(entry["shape"])
        if entry["dtype"] == "uint16":
            values = np.where(values == 65535, np.nan, values / entry["scale"])
        found[name] = values
    return found


def test_the_page_is_well_formed_and_loads_nothing(sample: tuple[Made, str, Checked]) -> None:
    _, text, html = sample
    assert "://" not in text, "a full address stands in the page"
    for tag, attributes in html.tags:
        for name in LOADING & set(attributes):
            assert re.match(r"#|data:,$", attributes[name] or ""), (
                f"<{tag} {name}={attributes[name]}> would load"
            )
    policy = next(
        a["content"]
        for t, a in html.tags
        if t == "meta" and "content-security" in str(a.get("http-equiv")).lower()
    )
    assert policy is not None and policy.startswith("default-src 'none';")
    assert not re.search(r"@import|url\(", (ASSETS / "page.css").read_text())
    ids = [attributes["id"] for _, attributes in html.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_scripts_find_every_element_they_ask_for(sample: tuple[Made, str, Checked]) -> None:
    _, _, html = sample
    ids = {attributes["id"] for _, attributes in html.tags if "id" in attributes}
    code = "".join((ASSETS / name).read_text() for name in page_module.SCRIPTS)
    asked = set(re.findall(r'(?:element|getElementById|show)\("([\w-]+)"', code))
    assert asked and asked <= ids


def hostile(report: dict[str, Any], page: PageData) -> None:
    report["trace"]["source"] = report["world"] = HOSTILE
    report["world_parameters"] = {HOSTILE: {HOSTILE: HOSTILE}}
    report["assumptions"] = report["notes"] = [HOSTILE]
    report["quarantine"] = {HOSTILE: 1}
    report["policies"]["logged"]["reason"] = HOSTILE
    report["policies"]["none"]["captured_share_beyond_symbol_reason"] = HOSTILE
    for policy in report["policies"].values():
        policy["energy_unit"] = HOSTILE
        policy["level_share"] = {HOSTILE: 1.0}
    for named in (report["policies"], page.policies, page.cells.level, page.cells.reason):
        named[HOSTILE] = named.pop("timer")
    page.reason_names[0] = page.level_names[-1] = page.cells_note = page.time_zone and HOSTILE
    page.cells.cell_id[3] = page.policies["predictive"].worst_cells[0].cell_id = HOSTILE
    page.curve[0].label = page.curve[0].policy = HOSTILE


def test_what_comes_from_data_stays_text(tmp_path: Path, make_report: Callable[..., Made]) -> None:
    made = make_report(n_cells=8, n_days=2)
    calm = written(tmp_path / "calm.html", made)[1]
    hostile(*made)
    text, html = written(tmp_path / "hostile.html", made)
    assert not [tag for tag, attributes in html.tags if tag == "img" or "onerror" in attributes]
    assert [t for t, _ in html.tags if t == "script"] == [t for t, _ in calm.tags if t == "script"]
    assert "<img" not in text
    assert HOSTILE in html.text
    assert json.loads(html.scripts["data"])["cells"][3] == HOSTILE


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_cannot_end_its_script(value: Any) -> None:
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_json_refuses_what_is_no_figure() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json({"energy": float("nan")})


def test_the_series_come_back(sample: tuple[Made, str, Checked]) -> None:
    (report, page), _, html = sample
    arrays = arrays_of(html)
    half_step = 0.5 / 4000 + 1e-7
    np.testing.assert_allclose(arrays["cell/load"], page.cells.load, atol=half_step)
    np.testing.assert_allclose(arrays["cell/upper"], page.cells.upper, atol=half_step)
    np.testing.assert_allclose(arrays["offered"], page.offered, atol=half_step)
    for name, series in page.policies.items():
        np.testing.assert_allclose(arrays[f"level_share/{name}"], series.level_share.T, atol=half_step)
        np.testing.assert_array_equal(arrays[f"cell/level/{name}"], page.cells.level[name])
    unscored = np.isnan(page.offered)
    assert unscored.any()
    np.testing.assert_array_equal(np.isnan(arrays["energy/none"]), unscored)
    np.testing.assert_array_equal(arrays["energy/none"][~unscored], page.policies["none"].energy[~unscored])
    assert "logged" not in json.loads(html.scripts["data"])["policies"], report["policies"]["logged"][
        "reason"
    ]


def test_the_browsers_decoder_agrees(sample: tuple[Made, str, Checked], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the decoder of the page is not run")
    _, _, html = sample
    (tmp_path / "data.json").write_text(
        json.dumps({name: html.scripts[name] for name in ("data", "arrays", "plotly")})
    )
    probe = """
const { data, arrays, plotly } = JSON.parse(require("fs").readFileSync("data.json", "utf8"));
(async () => {
  const found = unpacked(await inflated(arrays), JSON.parse(data).arrays);
  const rows = {};
  for (const name in found) {
    const { shape } = found[name];
    rows[name] = rowOf(found[name], shape.length > 1 ? shape[0] - 1 : 0);
  }
  const code = new TextDecoder().decode(await inflated(plotly));
  new Function(code);
  console.log(JSON.stringify({ rows, plotly: code.slice(0, 40) }));
})();"""
    (tmp_path / "probe.js").write_text((ASSETS / "decode.js").read_text() + probe)
    run = subprocess.run(
        [node, "probe.js"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    decoded = json.loads(run.stdout)
    assert "plotly.js" in decoded["plotly"]
    twin = arrays_of(html)
    assert decoded["rows"].keys() == twin.keys()
    for name, array in twin.items():
        row = array[-1] if array.ndim > 1 else array
        seen = np.array([np.nan if value is None else value for value in decoded["rows"][name]])
        np.testing.assert_allclose(seen, row.astype(np.float64), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", page_module.SCRIPTS)
def test_the_scripts_parse(name: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the scripts of the page are not parsed")
    subprocess.run([node, "--check", str(ASSETS / name)], check=True, capture_output=True, timeout=60)


def test_a_large_page_stays_small(tmp_path: Path, make_report: Callable[..., Made]) -> None:
    report, page = make_report(n_cells=800, n_days=7)
    report["policies"]["logged"] = report["policies"]["timer"]
    page.policies["logged"] = page.policies["timer"]
    page.cells.level["logged"] = np.roll(page.cells.level["timer"], 1, axis=0)
    page.cells.reason = {
        name: np.roll(page.cells.reason["timer"], i, axis=0) for i, name in enumerate(page.policies)
    }
    write_page(tmp_path / "large.html", report, page)
    assert len(page.policies) == 7
    assert page.cells.load.shape == (800, 672)
    assert (tmp_path / "large.html").stat().st_size < 8_000_000


def test_missed_limits_come_first(sample: tuple[Made, str, Checked], tmp_path: Path) -> None:
    (report, page), _, html = sample
    shown = html.text
    assert (
        shown.index("Service limits missed")
        < shown.index("Energy-efficiency gain")
        < shown.index("What was assumed")
    )
    assert "below target 1.83\u00a0% (limit 0.1\u00a0%)" in shown
    kept = {name: policy for name, policy in report["policies"].items() if name != "timer"}
    calm = written(tmp_path / "calm.html", (report | {"policies": kept}, page))[1].text
    assert "Service limits missed" not in calm


def test_the_headline_names_gain_saving_and_baseline(sample: tuple[Made, str, Checked]) -> None:
    shown = sample[2].text
    top = shown[: shown.index("What was assumed")]
    assert top.index("+64.2\u00a0%") < top.index("39.1\u00a0%")
    assert "The baseline is none: every cell fully awake." in top


def test_a_partial_report_says_so(tmp_path: Path, made: Made) -> None:
    report, page = made
    assert "Partial report" in written(tmp_path / "p.html", (report | {"complete": False}, page))[1].text


def test_a_null_is_a_dash_with_its_reason(sample: tuple[Made, str, Checked]) -> None:
    shown = sample[2].text
    assert "captured beyond symbol (none): none saves less than symbol" in shown
    assert "logged does not apply: the trace records no energy-saving activation" in shown


def test_energy_in_watts_only_where_known(sample: tuple[Made, str, Checked], tmp_path: Path) -> None:
    (report, page), _, html = sample
    assert "kg/year" not in html.text
    policies = {
        name: policy | {"energy_kwh": 12.5, "co2_kg_per_year": 5306.0}
        for name, policy in report["policies"].items()
    }
    shown = written(tmp_path / "w.html", (report | {"policies": policies}, page))[1].text
    assert "CO2 [kg/year]" in shown
    assert "5,306" in shown
    assert "Money per year" not in shown
    assert "Watts are not known" not in shown


def test_nothing_to_draw_is_still_a_page(tmp_path: Path, made: Made) -> None:
    report, page = made
    page.policies, page.curve, page.cells.cell_id = {}, [], []
    page.cells.level, page.cells.reason = {}, {}
    page.cells.load = page.cells.expected = page.cells.upper = np.zeros((0, 0), np.float32)
    html = written(tmp_path / "empty.html", (report, page))[1]
    assert json.loads(html.scripts["data"])["headline"] is None


def test_the_axis_is_local_and_says_when_clocks_change(sample: tuple[Made, str, Checked]) -> None:
    (_, page), _, html = sample
    time = json.loads(html.scripts["data"])["time"]
    assert str(page.first_tick) == "2024-03-20T16:00:00"
    assert np.datetime64(time["first_local_ms"], "ms") == np.datetime64("2024-03-20T17:00:00")
    assert (time["zone"], time["utc_offset"], time["clock_change"]) == (
        "Europe/Madrid",
        "UTC+01:00",
        "2024-03-31",
    )


@pytest.mark.parametrize(
    ("offset_s", "text"), [(0, "UTC+00:00"), (-12600, "UTC-03:30"), (20700, "UTC+05:45")]
)
def test_offsets_read_as_clocks_do(offset_s: int, text: str) -> None:
    assert offset_text(offset_s) == text


@given(
    st.lists(st.floats(0, 1, width=32) | st.just(float("nan")), min_size=1, max_size=40), st.integers(1, 9)
)
def test_thinning_is_the_mean_of_what_is_known(values: list[float], stride: int) -> None:
    groups = [[v for v in values[i : i + stride] if v == v] for i in range(0, len(values), stride)]
    naive = [sum(group) / len(group) if group else np.nan for group in groups]
    np.testing.assert_allclose(page_module._mean_of(np.array(values), stride), naive, atol=1e-9)


@given(st.lists(st.floats(0, 16, width=32) | st.just(float("nan")), max_size=30))
def test_ratios_keep_their_place_and_their_gaps(values: list[float]) -> None:
    packer = Packer()
    packer.index("odd", np.zeros(3, np.uint8))
    packer.ratio("ratio", np.array(values, np.float32))
    entry = packer.manifest["ratio"]
    assert entry["offset"] % 8 == 0
    raw = np.frombuffer(
        zlib.decompress(base64.b64decode(packer.packed())), "<u2", len(values), entry["offset"]
    )
    back = np.where(raw == 65535, np.nan, raw / entry["scale"])
    np.testing.assert_allclose(back, values, atol=0.5 / 4000 + 1e-6)
