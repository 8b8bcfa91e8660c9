"""``quietcell evaluate``: replays of small synthetic networks, document, tables and exit codes."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import controller.replay.stage as stage_module
from controller.cli import app
from controller.config import load_profile
from controller.evaluation.against_logged import savings_by_product, why_not_identified
from controller.evaluation.case import Case
from controller.evaluation.evaluation import Evaluation
from controller.evaluation.gates import parse_gate
from controller.evaluation.sums import FIGURES
from controller.evaluation.table import WIDTH, print_evaluation
from controller.replay.planners import POLICIES
from controller.replay.report import Replay, order_policies
from controller.worlds import EvaluatedWorld, world_for
from hw.world import World
from traces import Trace, make_cells
from traces.groups import independent_groups
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy

SPEC = SynthSpec(
    n_sites=6, sectors=1, layers=2, days=3, step_s=3600, logged_share=0.6, site_energy=True, seed=1
)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return generate(SPEC)


@pytest.fixture(scope="module")
def network(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "city"
    write_tidy(trace, folder)
    return folder


def evaluate(
    trace: Trace, *worlds: str, seeds: tuple[int, ...] = (0,), gates: tuple[str, ...] = ()
) -> Evaluation:
    policies = order_policies(["logged", "timer", "predictive"])
    parsed = tuple(parse_gate(gate, policies, POLICIES) for gate in gates)
    cases = [Case(trace, world_for(world, trace)) for world in worlds]
    return Evaluation(cases, load_profile(None), policies, seeds, 400, parsed)


def run(evaluation: Evaluation) -> dict[str, Any]:
    evaluation.run(lambda _: nullcontext(lambda _stage, _share: None))
    return evaluation.document()


@pytest.fixture(scope="module")
def document(trace: Trace) -> dict[str, Any]:
    gates = ("symbol.limits_held == 1", "timer.limits_held == 1", "symbol.captured_share >= 0")
    return run(evaluate(trace, "3gpp-cat1-set1", "calibrated", seeds=(0, 1), gates=gates))


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, args)])


def printed(document: dict[str, Any]) -> str:
    text = io.StringIO()
    print_evaluation(document, Console(file=text, width=WIDTH))
    return text.getvalue()


def reasons_are_given(node: Any) -> bool:
    """Whether each null has its reason beside it."""
    if isinstance(node, dict):
        null = [key for key, value in node.items() if value is None]
        return all(node.get(f"{key}_reason") for key in null) and all(map(reasons_are_given, node.values()))
    return all(map(reasons_are_given, node)) if isinstance(node, list) else True


def test_the_document_holds_every_run_and_their_means(document: dict[str, Any]) -> None:
    assert document["schema"] == "quietcell.evaluation/1"
    assert document["complete"] is True
    places = [(run["world"], run["seed"]) for run in document["runs"]]
    assert places == [(w, s) for w in ("3gpp-cat1-set1", "calibrated") for s in (0, 1)]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert reasons_are_given(document["summary"])
    assert reasons_are_given(document["gates"])
    for summary, at in zip(document["summary"], (0, 2), strict=True):
        runs = [run["policies"] for run in document["runs"][at : at + 2]]
        for name, policy in summary["policies"].items():
            assert policy["applicable"] == runs[0][name]["applicable"]
            for figure in (*FIGURES, "energy_saved_vs_logged") if policy["applicable"] else ():
                values = [run[name].get(figure) for run in runs]
                if policy[figure] is None:
                    assert None in values
                    continue
                assert policy[figure]["by_seed"] == values
                assert policy[figure]["mean"] == pytest.approx(np.mean(values))
                assert policy[figure]["low"] <= policy[figure]["mean"] + 1e-12
                assert policy[figure]["high"] >= policy[figure]["mean"] - 1e-12


def test_drawing_everything_once_gives_the_figures_of_the_report(trace: Trace) -> None:
    """With one unit and one day nothing is resampled, so a draw must be the report itself."""
    alone = trace.select_cells(np.flatnonzero(independent_groups(trace.cells) == 0))
    alone = replace(
        alone,
        **{
            name: series[:, :24]
            for name, series in alone.series().items()
            if not name.startswith("activation")
        },
        activation={level: share[:, :24] for level, share in alone.activation.items()},
        site_energy=None,
    )
    evaluation = evaluate(alone, "3gpp-cat1-set1", seeds=(0, 1))
    found = run(evaluation)
    case = evaluation.cases[0]
    drawn = case._draw_figures(case._scored_sums(), 3, 0).joint
    for p, name in enumerate(found["policies"]):
        for i, figure in enumerate(FIGURES):
            mean = np.mean([report["policies"][name][figure] for report in found["runs"]])
            np.testing.assert_allclose(drawn[:, p, i], mean, rtol=1e-9, atol=1e-12)
    summary = found["summary"][0]
    assert (summary["n_groups"], summary["n_days"]) == (1, 1)
    gain = summary["policies"]["predictive"]["ee_gain_vs_none"]
    assert gain["low"] is None
    assert "nothing to resample" in gain["low_reason"]
    assert "[" not in printed(found).split("\n")[4]


def test_neither_the_order_of_cells_nor_blocks_change_what_a_group_or_product_did(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(trace, "3gpp-cat1-set1")
    expected = run(whole)["summary"][0]
    monkeypatch.setattr(stage_module, "BLOCK_SAMPLES", 1)  # each group in a block of its own
    cut = evaluate(trace.select_cells(np.random.default_rng(0).permutation(trace.n_cells)), "3gpp-cat1-set1")
    found = run(cut)["summary"][0]
    for name in ("symbol", "predictive"):
        products = [s["policies"][name]["energy_saved_vs_logged"]["by_product"] for s in (expected, found)]
        assert list(products[0]) == ["high-64t", "mid-32t"]
        for product, own in products[0].items():
            assert products[1][product]["saving"] == pytest.approx(own["saving"], rel=1e-5)
            assert own["low"] <= own["saving"] <= own["high"]
    sums = [np.sort(evaluation.cases[0]._scored_sums(), axis=0) for evaluation in (whole, cut)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-5)


def test_missed_limits_come_first_and_everything_fits(document: dict[str, Any]) -> None:
    text = printed(document)
    gates = ("MISSED", "held")
    assert max(len(line) for line in text.split("\n") if not line.startswith(gates)) <= WIDTH
    assert text.startswith("LIMITS MISSED by timer in synthetic network, seed 1, 3gpp-cat1-set1")
    rows = [line.split()[0] for line in text.split("\n") if "[" in line and "%" not in line]
    assert rows[0] == "timer"
    assert "Mean of seeds 0, 1 [95% interval over 6 groups of cells and 3 days]." in text
    missed, undefined, held = text.strip().split("\n")[-3:]
    assert missed.startswith("MISSED timer.limits_held == 1 by 1: worst value 0 in")
    assert undefined.startswith("MISSED symbol.captured_share >= 0: undefined in")
    assert undefined.endswith("calibrated, seed 0: nothing can be saved beyond the baseline")
    assert held.startswith("held symbol.limits_held == 1 by 0: worst value 1 in")


@pytest.fixture(scope="module")
def two_products() -> tuple[Trace, World]:
    """Eight stations with one cell each of two products, and a world in which product B has no level."""
    product = ["A", "B"] * 4
    cells = make_cells([f"c{i}" for i in range(8)], site_id=[f"s{i}" for i in range(8)], product=product)
    load = np.full((8, 24), 0.1, np.float32)
    trace = Trace("two", cells, np.datetime64("2025-01-01T00:00:00"), 3600, "UTC", load)
    world = world_for("3gpp-cat1-set1", trace).world

    def twice(array: Any) -> Any:
        return np.repeat(array, 2, axis=0)

    power, has_level = twice(world.power), twice(world.has_level)
    power[1, 1] = power[1, 0]  # symbol shutdown saves nothing, the rest does not exist
    has_level[1, 2:] = False
    made = replace(
        world,
        power=power,
        has_level=has_level,
        rate_ratio=twice(world.rate_ratio),
        capacity_ratio=twice(world.capacity_ratio),
        ul_power=twice(world.ul_power),
        wake_energy=twice(world.wake_energy),
        model_of_product={"A": 0, "B": 1},
        parameters={"not_identified": {"night_shutdown": {"B": "2 stations show it"}}},
    )
    return trace, made


def test_savings_against_logged_by_product(two_products: tuple[Trace, World]) -> None:
    trace, world = two_products
    logged = np.array([10.0, 20, 10, 20, 10, 20, 10, 0])  # nothing was scored at the last station
    better = np.array([8.0, 20, 9, 20, 9, 20, 9, 0])
    found = savings_by_product(trace, world, ("logged", "new"), np.stack([logged, better])[None], 1000, 0)[
        "new"
    ]
    assert found["n_stations"] == 7
    assert found["mean"] == pytest.approx(5 / 100)
    assert 0 <= found["low"] < found["mean"] < found["high"]
    own = found["by_product"]["A"]
    assert own["saving"] == pytest.approx(5 / 40)
    assert (own["low"], own["high"], own["n_stations"]) == (pytest.approx(0.1), pytest.approx(0.2), 4)
    none = found["by_product"]["B"]
    assert (none["saving"], none["low"], none["n_stations"]) == (None, None, 3)
    assert none["saving_reason"] == "not identified: night_shutdown: 2 stations show it"
    assert reasons_are_given(found)


def test_why_a_product_is_not_identified(two_products: tuple[Trace, World]) -> None:
    trace, world = two_products
    of_b = np.array([1, 3])
    assert why_not_identified(trace, world, np.array([0, 2])) is None
    silent = replace(world, parameters={"products_without_measured_energy": ["B"]})
    assert why_not_identified(trace, silent, of_b) == "the product has no measured energy"
    assert "never shows" in str(why_not_identified(trace, replace(world, parameters={}), of_b))


def test_logged_alone_decides_whether_there_is_a_saving_against_it(
    trace: Trace, world: EvaluatedWorld
) -> None:
    without = replace(trace, activation={})
    policies = order_policies(["symbol"])
    found = run(Evaluation([Case(without, world)], load_profile(None), policies, (0,), 200))
    own = found["summary"][0]["policies"]["symbol"]
    assert own["energy_saved_vs_logged"] is None
    assert own["energy_saved_vs_logged_reason"] == "logged was not evaluated"
    policies = order_policies(["symbol", "logged"])
    found = run(Evaluation([Case(without, world)], load_profile(None), policies, (0,), 200))
    assert "logs no" in found["summary"][0]["policies"]["symbol"]["energy_saved_vs_logged_reason"]
    assert "logged does not apply: the trace logs no" in printed(found)


def test_the_command_writes_prints_and_passes_its_gates(network: Path, tmp_path: Path) -> None:
    common = (network, network, "--policy", "threshold", "--bootstrap", "200", "--seed", "3", "--seed", "3")
    done = call(*common, "--out", tmp_path / "out", "--gate", "symbol.limits_held == 1")
    assert done.exit_code == 0, done.output
    assert "held symbol.limits_held == 1 by 0: worst value 1 in synthetic network" in done.stdout
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["evaluation.json"]
    assert (written["n_replays"], written["seeds"], written["policies"]) == (
        1,
        [3],
        ["none", "symbol", "threshold", "oracle"],
    )
    as_json = call(*common, "--json", "--gate", "symbol.ee_gain_vs_none >= 9")
    assert as_json.exit_code == 1
    again = json.loads(as_json.stdout)
    assert again["summary"] == written["summary"]
    assert again["gates"][0]["margin"] == pytest.approx(
        written["runs"][0]["policies"]["symbol"]["ee_gain_vs_none"] - 9
    )
    assert "MISSED symbol.ee_gain_vs_none >= 9 by" in as_json.stderr
    assert "1/1 synthetic network, seed 1, 3gpp-cat1-set1, seed 3: " in as_json.stderr


def test_traces_and_worlds_of_one_name_are_told_apart(network: Path, tmp_path: Path, trace: Trace) -> None:
    other = tmp_path / "city"
    write_tidy(trace, other)
    renamed = tmp_path / "copy.yaml"
    text = (Path("hw") / "catalogue" / "3gpp-cat1-set1.yaml").resolve()
    renamed.write_text(text.read_text())
    done = call(
        network, other, "--world", "3gpp-cat1-set1", "--world", renamed, "--policy", "symbol", "--json"
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["traces"] == [str(network), str(other)]
    assert found["worlds"] == ["3gpp-cat1-set1", str(renamed)]
    assert len(found["summary"]) == 4


def test_ctrl_c_leaves_a_partial_document(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, turns = Replay.run, []

    def interrupted(self: Replay, *args: Any, **kwargs: Any) -> None:
        turns.append(1)
        if len(turns) == 2:
            self.policies = ("none", "symbol")
            whole(self, *args, **kwargs)
            self.policies, self.complete = ("none", "symbol", "oracle"), False
            raise KeyboardInterrupt
        whole(self, *args, **kwargs)

    monkeypatch.setattr(Replay, "run", interrupted)
    args = (network, "--policy", "symbol", "--seed", 0, "--seed", 1, "--seed", 2, "--out", tmp_path)
    done = call(*map(str, args), "--gate", "symbol.limits_held == 1")
    assert done.exit_code == 130
    assert "PARTIAL: 1 of 3 replays were finished" in done.stdout
    assert "NOT JUDGED symbol.limits_held == 1: the evaluation was stopped" in done.stdout
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["complete"] is False
    assert [run["complete"] for run in found["runs"]] == [True, False]
    assert found["runs"][1]["policies"]["oracle"]["applicable"] is False
    assert found["summary"][0]["seeds"] == [0]
    assert found["gates"][0]["held"] is None
    turns[:] = [1]
    monkeypatch.setattr(Replay, "run", lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    nothing = call(network, "--json")
    assert nothing.exit_code == 130
    assert (json.loads(nothing.stdout)["runs"], json.loads(nothing.stdout)["summary"]) == ([], [])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--gate", "predictiv.limits_held == 1"), "'predictiv' is no policy; known: none, symbol, timer"),
        (("--gate", "predictive.gain >= 1"), "'gain' is no figure; known: ee_gain_vs_none"),
        (("--gate", "predictive.limits_held"), "position 23: expected one of >="),
        (("--policy", "timr"), "'timr' is no policy; known: none, symbol"),
        (("--world", "3gpp-cat9"), "neither a file nor a known world"),
        (("--bootstrap", "10"), "100"),
        (("nowhere",), "nowhere"),
    ],
)
def test_errors_come_before_the_first_replay(args: tuple[str, ...], said: str) -> None:
    failed = call(*args)
    assert failed.exit_code == 2
    assert failed.stdout == ""
    assert said in " ".join(failed.stderr.replace("│", " ").split())
