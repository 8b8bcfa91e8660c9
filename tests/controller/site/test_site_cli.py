"""``quietcell replay --site`` and ``evaluate --site``: table, JSON, page, gates and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from controller.cli import app
from controller.evaluation.gates import GateError, judge, parse_gate
from controller.site.comparison import SITE_POLICIES
from tests.controller.site.site_made import DEFAULTS, HEAD
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy

OUTAGES = "outages: {path: out.csv}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of two sites over three days, a sites file and an outage."""
    folder = tmp_path_factory.mktemp("city")
    trace = generate(SynthSpec(n_sites=2, layers=1, days=3, step_s=900, seed=3, median_load=0.15))
    write_tidy(trace, folder / "city")
    (folder / "sites.yaml").write_text(HEAD + DEFAULTS)
    site, begin = str(trace.cells.site_id[0]), trace.start.astype("datetime64[s]") + 50 * 3600
    rows = f"site,begin,end\n{site},{begin}Z,{begin + 1800}Z\n"
    (folder / "out.csv").write_text(rows)
    (folder / "dark.yaml").write_text(HEAD + OUTAGES + DEFAULTS)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def replayed(folder: Path, *more: object) -> Result:
    common = ("--world", "earth-macro", "--policy", "symbol", "--site")
    return run("replay", folder / "city", *common, folder / "sites.yaml", *more)


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    result = replayed(folder, "--out", folder / "out")
    assert result.exit_code == 0, result.output
    assert "Site power: 2 sites, tariff cn-five-period-demand, money in CNY" in result.output
    for name in SITE_POLICIES:
        assert f" {name} " in result.output
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return found


def test_the_report_has_a_section_on_site_power(report: dict[str, Any], folder: Path) -> None:
    site = report["site"]
    assert site["complete"] and site["n_sites"] == 2 and site["radio_policy"] == "symbol"
    assert list(site["policies"]) == list(SITE_POLICIES)
    assert any("23%" not in note and "cut to that share" in note for note in site["notes"])
    for policy in site["policies"].values():
        for name, value in policy.items():
            assert value is not None or f"{name}_reason" in policy, name
    assert 'id="site"' in (folder / "out" / "report.html").read_text()


def test_the_load_of_the_sites_is_the_energy_of_the_radio(report: dict[str, Any]) -> None:
    """An idle battery imports what radio and transport take, and the losses of the rectifiers: 3 to 8 %."""
    share = 48.0 / 72.0  # of the trace that is scored
    radio_kwh = report["policies"]["symbol"]["energy_kwh"] / report["trace"]["scored_share"]
    taken_kwh = share * radio_kwh + 2 * 0.3 * 48
    assert 0.85 < report["site"]["policies"]["idle"]["import_kwh"] / taken_kwh < 1.3


def test_without_site_nothing_is_said_of_it(folder: Path) -> None:
    result = run("replay", folder / "city", "--world", "earth-macro", "--policy", "symbol", "--json")
    assert result.exit_code == 0
    assert "site" not in json.loads(result.stdout)


def test_a_world_without_watts_needs_radio_w_per_unit(folder: Path) -> None:
    result = run("replay", folder / "city", "--policy", "symbol", "--site", folder / "sites.yaml")
    assert result.exit_code == 2
    assert "radio_w_per_unit" in result.output


def test_a_sites_file_is_refused_before_anything_is_replayed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.replay.report.run_policy", lambda *_, **__: pytest.fail("was replayed"))
    (folder / "bad.yaml").write_text(HEAD + DEFAULTS + "sites:\n- match: [nowhere]\n")
    result = run("replay", folder / "city", "--world", "earth-macro", "--site", folder / "bad.yaml")
    assert result.exit_code == 2
    assert "bad.yaml" in result.output and "'nowhere' fits no site" in result.output
    missing = run("replay", folder / "city", "--world", "earth-macro", "--site", folder / "none.yaml")
    assert missing.exit_code == 2 and "or use sample" in missing.output


def test_a_config_may_name_the_sites_file_and_an_interruption_keeps_what_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller.site import comparison

    def stop(month: Any, dispatch: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setitem(comparison.BASELINES, "rule", (stop, ()))
    monkeypatch.setattr(comparison, "_tuned_in_parts", lambda *_: None)
    text = (
        f"schema: quietcell.config/1\nworld: earth-macro\nsite: {folder / 'sites.yaml'}\npolicies: [symbol]\n"
    )
    (folder / "config.yaml").write_text(text)
    result = run("replay", folder / "city", "--config", folder / "config.yaml", "--json")
    assert result.exit_code == 130
    document = json.loads(result.stdout)
    assert not document["complete"] and not document["site"]["complete"]
    assert document["site"]["policies"]["idle"]["applicable"]
    assert not document["site"]["policies"]["rule"]["applicable"]


def test_evaluate_judges_gates_on_site_power(folder: Path) -> None:
    common = (
        "--world",
        "earth-macro",
        "--policy",
        "symbol",
        "--site",
        folder / "dark.yaml",
        "--bootstrap",
        100,
    )
    gates = ("--gate", "site.plan.outages_carried == 1", "--gate", "site.idle.saved_share >= 0.5")
    result = run("evaluate", folder / "city", *common, *gates, "--json")
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    assert [gate["held"] for gate in document["gates"]] == [True, False]
    assert document["runs"][0]["site"]["policies"]["plan"]["outages"] == 1


def test_gates_on_site_power_are_read_and_judged() -> None:
    gate = parse_gate(" site.plan.captured_share >= 0.95", ("none",), ("none",), SITE_POLICIES)
    assert (gate.of_sites, gate.policy, gate.figure, gate.bound) == (True, "plan", "captured_share", 0.95)
    one = {"trace": {"source": "n"}, "world": "w", "seed": 0, "policies": {"none": {}}}
    runs = [one | {"site": {"policies": {"plan": {"captured_share": value}}}} for value in (0.97, 0.96)]
    verdict = judge(gate, runs)
    assert verdict.held and verdict.value == 0.96
    assert not judge(gate, [*runs, one]).held  # a run without site power proves nothing
    for text, said in (
        ("site.plan.captured >= 1", "'captured' is no figure"),
        ("site.none.cost >= 1", "'none' is no policy; known: idle"),
    ):
        with pytest.raises(GateError, match=said):
            parse_gate(text, ("none",), ("none",), SITE_POLICIES)
    with pytest.raises(GateError, match="add --site"):
        parse_gate("site.plan.cost >= 1", ("none",), ("none",))


@pytest.fixture(scope="module")
def weighed(folder: Path) -> tuple[Path, Path]:
    """Sites files of a 3GPP world, whose radio sleeps by energy and by price."""
    for name, more in (("energy", ""), ("price", "sleep_by: price\n")):
        (folder / f"by_{name}.yaml").write_text(f"{HEAD}radio_w_per_unit: 5.0\n{more}{DEFAULTS}")
    return folder / "by_energy.yaml", folder / "by_price.yaml"


def test_the_guard_loop_and_sleep_by_price_run_with_sites(folder: Path, weighed: tuple[Path, Path]) -> None:
    """With the guard loop a plan is carried out sample by sample; the sites carry its mean of each step."""
    costs, gains = [], []
    for sites in weighed:
        result = run(
            "replay", folder / "city", "--policy", "predictive", "--guard", "--site", sites, "--json"
        )
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        costs.append(found["site"]["policies"]["idle"]["energy_cost"])
        gains.append(found["policies"]["predictive"]["ee_gain_vs_none"])
        by_price = "sleeps deeper where a kWh costs more" in " ".join(found["site"]["notes"])
        assert by_price == (sites == weighed[1])
    assert costs[0] != costs[1]
    assert costs[1] == pytest.approx(costs[0], rel=0.05)
    assert gains[1] == pytest.approx(gains[0], rel=0.05)


def test_an_explanation_knows_by_what_sleep_was_weighed(folder: Path, weighed: tuple[Path, Path]) -> None:
    documents = []
    for sites in weighed:
        config = folder / "run.yaml"
        config.write_text(f"schema: quietcell.config/1\ntrace: {folder / 'city'}\nsite: {sites}\n")
        result = run("explain", "S00000-1-n41", "2025-03-05 10:00", "--config", config, "--json")
        assert result.exit_code == 0, result.output
        documents.append(json.loads(result.stdout))
    assert documents[0] != documents[1]
