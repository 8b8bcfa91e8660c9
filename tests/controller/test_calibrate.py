"""``quietcell calibrate``: from a trace to a model file, a world and a table."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from controller.calibration import (
    calibrate,
    calibration_to_json,
    fit_trace,
    load_calibration,
    measurements_of,
    write_calibration,
)
from controller.cli.calibrate_command import calibrate as calibrate_command
from hw.calibration import Calibration, make_world
from hw.errors import WorldError
from traces.errors import TraceError
from traces.reading import read_trace
from traces.trace import SiteEnergy, Trace, make_cells
from traces.writers.tidy import write_tidy

HOURS = 72


def make_trace(n_sites: int = 8) -> Trace:
    """One cell a site, at rest in two of three nights. The last has no energy, the one before no product."""
    rng = np.random.default_rng(0)
    hour = np.arange(HOURS) % 24
    load = np.clip(0.4 + 0.3 * np.sin(hour / 4) * rng.uniform(0.5, 1, (n_sites, 1)), 0, 1)
    load *= rng.uniform(0.8, 1.2, load.shape)
    load[:, hour < 8] = rng.uniform(0.005, 0.02, (n_sites, int((hour < 8).sum())))
    rest = np.tile((hour < 6) & (np.arange(HOURS) < 48), (n_sites, 1)).astype(np.float32)
    energy = 50 * (10 + 10 * load) * (1 - 0.3 * rest) * rng.normal(1, 0.005, load.shape)
    product = ["Radio 1"] * (n_sites - 2) + ["", "Radio 2"]
    cells = make_cells(
        [f"c{i}" for i in range(n_sites)], site_id=[f"s{i}" for i in range(n_sites)], product=product
    )
    return Trace(
        source="small",
        cells=cells,
        start=np.datetime64("2030-05-01T00:00:00"),
        step_s=3600,
        time_zone="UTC",
        dl_prb_ratio=load.astype(np.float32),
        activation={"night_shutdown": rest},
        site_energy=SiteEnergy(cells.site_id[:-1], energy[:-1].astype(np.float32), "Wh"),
    )


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


@pytest.fixture(scope="module")
def fitted(trace: Trace) -> Calibration:
    return calibrate(trace)


def run(*args: str | Path) -> Result:
    app = typer.Typer()
    app.command()(calibrate_command)
    return CliRunner().invoke(app, [str(a) for a in args])


def test_a_model_file_gives_back_the_same_world(fitted: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_calibration(fitted, path)
    back = load_calibration(path)
    assert back == fitted
    ours, theirs = make_world(fitted), make_world(back)
    for field in fields(ours):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b
    assert [p.name for p in tmp_path.iterdir()] == ["model.json"]


def test_two_calibrations_of_one_trace_are_the_same_file(trace: Trace, fitted: Calibration) -> None:
    assert calibration_to_json(calibrate(trace)) == calibration_to_json(fitted)
    fast = fit_trace(trace)
    assert fast.errors is None
    assert fast.stations == fitted.stations


def test_people_read_products_and_errors_first(fitted: Calibration) -> None:
    text = calibration_to_json(fitted)
    assert list(json.loads(text)) == [
        *(
            "schema",
            "source",
            "energy_unit",
            "step_s",
            "n_steps",
            "n_steps_unpaired",
            "n_steps_absurd",
            "noise",
        ),
        *("spread_base", "spread_slope", "clocks", "products", "errors", "knots", "typical_txru", "shapes"),
        *("base_middles", "slope_middles", "stations"),
    ]
    assert text.splitlines()[-4].startswith('  {"site_id": "s6"')


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    at: Any = document
    *parents, last = path.split(".")
    for part in parents:
        at = at[int(part)] if part.isdigit() else at[part]
    at[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema", "quietcell.calibration/2", "schema: Input should be 'quietcell.calibration/1'"),
        ("extra", 1, "extra: Extra inputs are not permitted"),
        ("step_s", "3600", "step_s: Input should be a valid integer"),
        ("step_s", 0, "step_s: Input should be greater than 0"),
        ("noise", float("nan"), "noise: Input should be a finite number"),
        ("stations.0.base", -1.0, "stations.0.base: Input should be greater than or equal to 0"),
        (
            "stations.0.cells.0.effects.night_shutdown",
            0.1,
            "stations.0.cells.0.effects.night_shutdown: Input",
        ),
        ("stations.0.cells.0.product", "Radio 9", "stations.0.cells.0.product: 'Radio 9' is not in products"),
        ("products.Radio 1.levels.night_shutdown.effect", None, "levels.night_shutdown: an identified level"),
        ("shapes.0.values", [0.0, 0.5, 0.4, *[0.5] * 9, 1.0], "shapes.0: a shape must not fall"),
        ("shapes", [], "shapes must hold one entry for each of products"),
        ("knots", [0.0, 1.0], "knots must be"),
        ("base_middles", [], "base_middles must hold the middle of the whole network"),
        ("typical_txru", {}, "typical_txru must hold"),
    ],
)
def test_a_changed_model_file_is_refused(
    fitted: Calibration, tmp_path: Path, path: str, value: Any, said: str
) -> None:
    document = json.loads(calibration_to_json(fitted))
    set_at(document, path, value)
    file = tmp_path / "model.json"
    file.write_text(json.dumps(document))
    with pytest.raises(WorldError) as refused:
        load_calibration(file)
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(file))
    assert "quietcell calibrate" in str(refused.value)


def test_a_missing_or_broken_model_file_is_refused(fitted: Calibration, tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"no\.json: the file cannot be read"):
        load_calibration(tmp_path / "no.json")
    file = tmp_path / "model.json"
    file.write_text(calibration_to_json(fitted)[:500])
    with pytest.raises(WorldError, match="Invalid JSON"):
        load_calibration(file)
    document = json.loads(calibration_to_json(fitted))
    for name in list(document)[:15]:
        del document[name]
    file.write_text(json.dumps(document))
    with pytest.raises(WorldError, match=r"model\.json: energy_unit: Field required") as refused:
        load_calibration(file)
    assert "more problems" in str(refused.value)


def test_measurements_follow_the_stations_of_the_trace(trace: Trace) -> None:
    energy = trace.site_energy
    assert energy is not None
    shuffled = SiteEnergy(energy.site_id[::-1], energy.energy[::-1].copy(), energy.unit)
    shuffled.energy[0, 3] = 0
    m = measurements_of(replace(trace, site_energy=shuffled))
    expected = energy.energy.astype(np.float64)
    expected[-1, 3] = np.nan  # no energy is no measurement
    np.testing.assert_array_equal(m.energy[:-1], expected)
    assert np.isnan(m.energy[-1]).all()
    assert m.site_id[m.site_of_cell].tolist() == trace.cells.site_id.tolist()


def test_configurations_name_what_is_known(trace: Trace) -> None:
    known = make_cells(["a", "b"], carrier=["n78", ""], bandwidth_mhz=[100, np.nan], txru=[64, 0])
    energy = SiteEnergy(np.array(["a", "b"]), np.ones((2, HOURS), np.float32), "Wh")
    m = measurements_of(
        replace(trace, cells=known, dl_prb_ratio=trace.dl_prb_ratio[:2], activation={}, site_energy=energy)
    )
    assert m.config.tolist() == ["carrier n78, 100 MHz", ""]
    assert m.txru.tolist() == [64, 0]


@pytest.mark.parametrize(
    "change", [lambda energy: None, lambda energy: replace(energy, energy=energy.energy * 0)]
)
def test_a_trace_without_energy_says_what_to_do(trace: Trace, change: Callable[[Any], Any]) -> None:
    with pytest.raises(
        TraceError, match=r"small: .*energy.*; calibration needs .* site_energy in the tidy one"
    ):
        calibrate(replace(trace, site_energy=change(trace.site_energy)))


def test_the_command_prints_a_table_and_writes_the_file(trace: Trace, tmp_path: Path) -> None:
    write_tidy(trace, tmp_path / "net")
    result = run(tmp_path / "net", "--out", tmp_path / "model.json")
    assert result.exit_code == 0, result.output
    for said in ("Radio 1", "unseen hours", "No measured energy: Radio 2", "(no name)"):
        assert said in result.stdout
    effect = re.search(r"night_shutdown (-\d+\.\d) %", result.stdout)
    assert effect is not None
    assert float(effect[1]) == pytest.approx(-30, abs=1)
    assert load_calibration(tmp_path / "model.json").products["Radio 1"].levels["night_shutdown"].identified
    printed = run(tmp_path / "net", "--json")
    assert printed.exit_code == 0
    assert printed.stdout == (tmp_path / "model.json").read_text(encoding="utf-8")


def test_the_command_ends_with_2_and_a_remedy(trace: Trace, tmp_path: Path) -> None:
    write_tidy(replace(trace, site_energy=None), tmp_path / "net")
    without = run(tmp_path / "net", "--json")
    assert without.exit_code == 2
    assert without.stdout == ""
    assert "the trace has no measured energy" in without.stderr
    nowhere = run(tmp_path / "net", "--out", tmp_path / "no" / "model.json")
    assert nowhere.exit_code == 2
    assert "does not exist" in re.sub(r"[│\s]+", " ", nowhere.stderr)
    apart = trace.dl_prb_ratio.copy()
    apart[:-1] = np.nan  # only the station without energy has load
    write_tidy(replace(trace, dl_prb_ratio=apart), tmp_path / "apart")
    result = run(tmp_path / "apart")
    assert result.exit_code == 2
    assert "no step has both measured energy and load" in result.stderr


@pytest.fixture(scope="module")
def measured_part() -> Trace:
    """Every third station of the measured network."""
    folder = Path(os.environ.get("QUIETCELL_DATA", ""), "itu5g_energy")
    if "QUIETCELL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("needs itu5g_energy in the folder named by QUIETCELL_DATA")
    whole = read_trace(folder)
    assert whole.site_energy is not None
    kept = whole.site_energy.site_id[::3]
    return whole.select_cells(np.flatnonzero(np.isin(whole.cells.site_id, kept)))


def test_a_measured_network(measured_part: Trace) -> None:
    found = calibrate(measured_part)
    assert found.errors is not None
    assert found.errors.unseen_hours is not None
    assert found.errors.unseen_hours.wmape <= 0.05
    night = found.products["Type4"].levels["night_shutdown"]
    assert night.identified
    assert night.effect_high is not None
    assert night.effect_high < -0.3
    assert not any(
        level.identified
        for product in found.products.values()
        for name, level in product.levels.items()
        if name != "night_shutdown"
    )
