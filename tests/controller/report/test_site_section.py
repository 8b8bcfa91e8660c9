"""Site power on the page: only where it was replayed, whole, offline, and with the figures it was given."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.report import page as page_module
from controller.report.page import write_page
from controller.report.pagedata import PageData
from controller.report.site_section import FLEET, FURTHER, MAIN
from controller.report.site_words import FIGURE, headline_policy
from controller.report.sitedata import SitePage
from controller.report.words import UNDEFINED
from tests.controller.report.site_made import POLICIES, figures, make_site
from tests.controller.report.test_report_page import ASSETS, HOSTILE, LOADING, Checked, arrays_of

Made = tuple[dict[str, Any], PageData]
SiteMade = tuple[dict[str, Any], SitePage]


def written(path: Path, made: Made, site: SiteMade | None) -> Checked:
    report, page = made
    if site is None:
        write_page(path, report, page)
    else:
        write_page(path, report | {"site": site[0]}, page, site[1])
    return Checked(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, make_report: Callable[..., Made]
) -> tuple[SiteMade, Checked]:
    site = make_site()
    return site, written(tmp_path_factory.mktemp("site") / "report.html", make_report(n_cells=8), site)


@pytest.fixture
def site() -> SiteMade:
    return make_site(n_sites=3, n_kept=2, n_days=2)


def ids_of(html: Checked) -> list[str]:
    return [str(attributes["id"]) for _, attributes in html.tags if "id" in attributes]


def test_without_site_power_nothing_of_it_is_there(tmp_path: Path, made: Made) -> None:
    html = written(tmp_path / "plain.html", made, None)
    assert not [name for name in ids_of(html) if re.match("site|fleet|plot-(site|fleet)", name)]
    assert "Site power" not in html.text
    assert "site" not in json.loads(html.scripts["data"])
    assert "function drawSite(" not in html.scripts["code"]
    assert "#fleet" not in (tmp_path / "plain.html").read_text()


def test_with_site_power_the_rest_stays_as_it_was(tmp_path: Path, made: Made, site: SiteMade) -> None:
    written(tmp_path / "plain.html", made, None)
    written(tmp_path / "site.html", made, site)
    plain, whole = ((tmp_path / name).read_text() for name in ("plain.html", "site.html"))
    section = whole[whole.index('\n<section id="site">') : whole.index("</main>")]
    rest = whole.replace(section, "").replace('<a href="#site">Site power</a>\n', "")
    body = slice(plain.index("<body>"), plain.index('<script type="application/json"'))
    begin = rest.index("<body>")
    assert rest[begin : begin + body.stop - body.start] == plain[body]
    kept = json.loads(Checked(plain).scripts["data"])
    assert kept | {"arrays": None} == {
        key: None if key == "arrays" else value
        for key, value in json.loads(Checked(whole).scripts["data"]).items()
        if key != "site"
    }


def test_the_section_loads_nothing_and_is_linked(sample: tuple[SiteMade, Checked]) -> None:
    _, html = sample
    loading = [attributes[name] or "" for _, attributes in html.tags for name in LOADING & set(attributes)]
    assert [address for address in loading if not re.match(r"#|data:,$", address)] == []
    assert "#site" in loading
    assert len(ids_of(html)) == len(set(ids_of(html)))
    assert not re.search(r"@import|url\(", (ASSETS / "site.css").read_text())
    assert not re.search(
        r"://|innerHTML|fetch\(", "".join((ASSETS / n).read_text() for n in page_module.SITE_SCRIPTS)
    )


def test_the_scripts_find_what_they_ask_for(sample: tuple[SiteMade, Checked]) -> None:
    _, html = sample
    code = "".join((ASSETS / name).read_text() for name in page_module.SITE_SCRIPTS)
    asked = set(re.findall(r'(?:element|show)\("([\w-]+)"', code))
    assert {"plot-site", "plot-fleet", "fleet-rows"} <= asked <= set(ids_of(html))
    variables = set(re.findall(r'"(--[\w-]+)"', code))
    assert variables <= set(re.findall(r"(--[\w-]+):", (ASSETS / "page.css").read_text()))


@pytest.mark.parametrize("name", page_module.SITE_SCRIPTS)
def test_the_scripts_parse(name: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the scripts of the page are not parsed")
    subprocess.run([node, "--check", str(ASSETS / name)], check=True, capture_output=True, timeout=60)


def run_in_node(folder: Path, script: str, data: Any) -> Any:
    """What ``script`` prints as JSON, run after the script of the fleet, with ``data`` at hand."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the scripts of the page are not run")
    code = f"{(ASSETS / 'fleet.js').read_text()}\nconst data = {json.dumps(data)};\n{script}"
    (folder / "probe.js").write_text(code, encoding="utf-8")
    run = subprocess.run(
        [node, "probe.js"], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(run.stdout)


def test_the_scripts_write_figures_as_the_tables_do(tmp_path: Path) -> None:
    values = [0.0, 1.0, 0.07349, -0.0001, 0.398, 12.26, -4.56, 163.4, 13626.4, 99.96, 2.3e-5]
    forms = [("saved_share", "percent"), ("cost", "number"), ("outages", "count")]
    script = "console.log(JSON.stringify(data.map(([form, value]) => fleetText({ form }, value))));"
    cases = [(form, value) for _, form in forms for value in [*values, None]]
    found = run_in_node(tmp_path, script, cases)
    wanted = [
        UNDEFINED if value is None else FIGURE[name].form(value).replace(" %", "\u00a0%")
        for name, _ in forms
        for value in [*values, None]
    ]
    assert found == wanted


def test_a_heading_sorts_and_the_unknown_stands_last(tmp_path: Path) -> None:
    fleet = {
        "sites": ["B-10", "a-9", "B-2", "B-3"],
        "classes": [],
        "alarms": [[], ["old pack"], [], []],
        "figures": {"plan": {"cost": [3.0, None, -1.0, 10.0]}, "rule": {"cost": [1.0, 2.0, 3.0, None]}},
    }
    script = """
let wanted = "";
const element = () => ({ value: wanted });
const siteState = { policy: "plan" };
const order = (sort, descending = false) => fleetOrder(data, Object.assign(fleetState, { sort, descending }));
const found = [order("cost"), order("cost", true), order("site"), order("alarms", true)];
siteState.policy = "rule";
found.push(order("cost"));
wanted = " b-";
found.push(order("cost", true));
console.log(JSON.stringify(found));"""
    assert run_in_node(tmp_path, script, fleet) == [
        [2, 0, 3, 1],
        [3, 0, 2, 1],
        [1, 2, 3, 0],
        [1, 0, 2, 3],
        [0, 1, 2, 3],
        [2, 0, 3],
    ]


def test_the_cards_speak_of_the_plan(sample: tuple[SiteMade, Checked]) -> None:
    shown = sample[1].text[sample[1].text.index("the battery waits for an outage") :]
    places = [
        shown.index(text)
        for text in ("7.1\u00a0%", "96.6\u00a0%", "5.09\u00a0kW", "0.398\u00a0kWh", "1 of 1")
    ]
    assert places == sorted(places)
    assert "1,125 EUR of bill and wear, against idle" in shown


def test_every_policy_has_its_figures_in_the_table(sample: tuple[SiteMade, Checked]) -> None:
    (report, _), html = sample
    section = html.text[html.text.index("Policies of site power against idle") : html.text.index("One site")]
    for name, policy in report["policies"].items():
        if policy.get("applicable", True):
            for key in ("cost", "wear_cost", "peak_kw", "import_kwh", "cycles_per_year"):
                assert FIGURE[key].form(policy[key]).replace(" %", "\u00a0%") in section, (name, key)
    assert "mine does not apply: it has no plan for batteries" in section
    assert "captured (idle): idle is the baseline" in section
    assert report["notes"][0] in section
    assert "Marginal CO2 [kg]" not in section[: section.index("What the columns mean")]  # nobody has it
    assert "Plan gap" in section[: section.index("What the columns mean")]


def test_alarms_and_long_notes_are_not_overlooked(tmp_path: Path, made: Made, site: SiteMade) -> None:
    report, page = site
    report["notes"] = [f"note {rank}" for rank in range(40)]
    report["policies"]["rule"]["life_years"] = float("inf")
    html = written(tmp_path / "notes.html", made, (report, page))
    assert html.text.index("3 sites raise alarms") < html.text.index("the battery waits for an outage")
    whole = (tmp_path / "notes.html").read_text()
    assert re.search(r"note 7</li></ul><details><summary>32 more notes<.*>note 8<.*>note 39<", whole)
    report["n_alarms"], report["notes"] = 0, []
    calm = written(tmp_path / "calm.html", made, (report, page)).text
    assert "raise" not in calm[calm.index("Site power", calm.index("One cell: ")) :]
    assert "more notes" not in calm


def test_the_series_come_back_as_they_went_in(sample: tuple[SiteMade, Checked]) -> None:
    (_, page), html = sample
    arrays = arrays_of(html)
    assert {name.removeprefix("site/") for name in arrays if name.startswith("site/")} == set(page.series)
    for name, series in page.series.items():
        np.testing.assert_array_equal(arrays[f"site/{name}"], series)


def test_what_is_not_finite_is_unknown(tmp_path: Path, made: Made, site: SiteMade) -> None:
    report, page = site
    page.series["outdoor_c"][0, 3] = np.nan
    page.series["floor_wh"][1, 5] = np.inf
    page.fleet[1]["policies"]["plan"]["captured_share"] = float("nan")
    page.fleet[2]["policies"]["plan"]["life_years"] = None
    html = written(tmp_path / "gaps.html", made, (report, page))
    arrays = arrays_of(html)
    assert np.isnan(arrays["site/outdoor_c"][0, 3]) and np.isnan(arrays["site/floor_wh"][1, 5])
    own = json.loads(html.scripts["data"])["site"]["fleet"]["figures"]["plan"]
    assert own["captured_share"][1] is None and own["life_years"][2] is None
    assert own["captured_share"][0] is not None


def test_the_fleet_has_a_row_for_every_site(sample: tuple[SiteMade, Checked]) -> None:
    (_, page), html = sample
    fleet = json.loads(html.scripts["data"])["site"]["fleet"]
    assert fleet["sites"] == [row["site_id"] for row in page.fleet]
    assert fleet["policies"] == list(POLICIES)
    assert [column["name"] for column in fleet["columns"]] == list(FLEET)
    assert fleet["alarms"][7] == page.fleet[7]["alarms"] and fleet["alarms"][0] == []
    for policy in POLICIES:
        wanted = [row["policies"][policy]["cost"] for row in page.fleet]
        np.testing.assert_allclose(fleet["figures"][policy]["cost"], wanted, rtol=1e-5)


def test_the_axis_is_local_and_begins_with_a_whole_day(sample: tuple[SiteMade, Checked]) -> None:
    own = json.loads(sample[1].scripts["data"])["site"]
    assert np.datetime64(own["time"]["first_local_ms"], "ms") == np.datetime64("2024-03-20T17:00:00")
    assert np.datetime64(own["first_day_ms"], "ms") == np.datetime64("2024-03-21T00:00:00")
    assert own["time"]["clock_change"] == "2024-03-31"


def test_the_headline_is_the_plan_else_what_saves_most(site: SiteMade) -> None:
    report, _ = site
    report["policies"]["plan"]["saved_cost"] = 1.0  # least of all, and still what one asks for first
    assert headline_policy(report) == "plan"
    del report["policies"]["plan"]
    assert headline_policy(report) == "plan_24h"
    report["policies"]["plan_24h"]["saved_cost"] = None
    report["policies"]["rule"]["saved_cost"] = -3.0
    report["policies"]["threshold"]["saved_cost"] = -2.0
    assert headline_policy(report) == "threshold"
    report["policies"] = {"idle": figures("idle", 1.0), "oracle": figures("oracle", 1.0)}
    assert headline_policy(report) is None


def test_names_of_sites_and_policies_are_no_code(tmp_path: Path, made: Made, site: SiteMade) -> None:
    report, page = site
    report["currency"] = page.currency = page.site_id[0] = HOSTILE
    report["notes"] = [HOSTILE]
    report["policies"][HOSTILE] = figures("rule", 1.0)
    page.policy_names.append(HOSTILE)
    page.fleet[0] |= {"site_id": HOSTILE, "site_class": HOSTILE, "alarms": [HOSTILE]}
    page.series_note = HOSTILE
    html = written(tmp_path / "hostile.html", made, (report, page))
    assert not [tag for tag, attributes in html.tags if tag == "img" or "onerror" in attributes]
    assert HOSTILE in html.text
    assert json.loads(html.scripts["data"])["site"]["sites"][0] == HOSTILE


def test_no_site_kept_is_still_a_page(tmp_path: Path, made: Made, site: SiteMade) -> None:
    report, page = site
    bare = SitePage([], page.start, 900, page.time_zone, "EUR", [], 0, {})
    report["policies"], report["complete"] = {}, False
    html = written(tmp_path / "bare.html", made, (report, bare))
    assert "Stopped before its end" in html.text and "No policy ran" in html.text
    own = json.loads(html.scripts["data"])["site"]
    assert own["headline"] is None and own["fleet"]["sites"] == []


def test_series_of_another_shape_or_policy_are_refused(site: SiteMade) -> None:
    _, page = site

    def again(series: dict[str, Any]) -> SitePage:
        return SitePage(page.site_id, page.start, 900, "UTC", "EUR", ["plan"], 0, series)

    whole = page.series["load_w"]
    assert again({"load_w": whole, "charge_w/plan": whole}).n_steps == 192
    for series in ({"load_w": whole[:1]}, {"load_w": whole, "pv_w": whole[:, 1:]}, {"load_w": whole[0]}):
        with pytest.raises(ValueError, match="series must all be"):
            again(series)
    with pytest.raises(ValueError, match="no such series: charge_w/rule"):
        again({"charge_w/rule": whole})


def test_every_figure_of_the_section_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    assert [name for name in FIGURE if f"`{name}`" not in text] == []
    assert set(MAIN) | set(FURTHER) == set(FIGURE)
