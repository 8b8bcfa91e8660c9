"""``quietcell symbols``: a slot trace on the command line, its document, its table and its errors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner, Result

from controller.cli import app
from controller.symbols.carrier import frame_demand, load_carrier
from controller.symbols.catalogue import load_symbol_model
from controller.symbols.figures import LEVER_SETS, Case, case_figures
from traces.slots import SlotRecording, read_slots

NRSCOPE = Path(os.environ.get("QUIETCELL_DATA", "")) / "nrscope_tmobile"
SECONDS = 20


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two invented recordings, sparse and busier."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("slots")
    rows: dict[str, list[object]] = {"recording": [], "ms": [], "dl_prb": [], "ul_prb": []}
    for name, rate in (("night", 0.02), ("day", 0.1)):
        ms = np.flatnonzero(rng.random(1000 * SECONDS) < rate)
        rows["recording"] += [name] * len(ms)
        rows["ms"] += ms.tolist()
        rows["dl_prb"] += rng.integers(1, 53, len(ms)).tolist()
        rows["ul_prb"] += [0] * len(ms)
    about = {"recording": ["night", "day"], "duration_ms": [1000 * SECONDS] * 2}
    pa_csv.write_csv(pa.table(rows), folder / "slots.csv")
    pa_csv.write_csv(pa.table(about | {"n_prb": [52, 52], "scs_khz": [15, 15]}), folder / "recordings.csv")
    return folder


def test_the_document_holds_every_recording_with_every_lever(slots: Path) -> None:
    found = run("symbols", slots, "--json")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["schema"] == "quietcell.symbols/1"
    assert document["always_on_symbol_share"] == pytest.approx(48 / 560)
    assert [each["recording"] for each in document["recordings"]] == ["night", "day"]
    for each in (*document["recordings"], document["mean"]):
        assert list(each["levers"]) == list(LEVER_SETS)
        saved = [each["levers"][name]["energy_saved_vs_none"] for name in LEVER_SETS]
        assert 0 < saved[0] < saved[2] < saved[1] < saved[3] < 1  # symbol, filling, light sleep, both
        for lever in each["levers"].values():
            assert lever["added_latency_p50_ms"] <= lever["added_latency_p95_ms"] <= 10
    night, day = document["recordings"]
    assert (
        night["levers"]["light_sleep"]["light_sleep_share"]
        > day["levers"]["light_sleep"]["light_sleep_share"]
    )


def test_the_table_names_recordings_levers_and_budget(slots: Path) -> None:
    found = run("symbols", slots, "--latency-budget-ms", 5)
    assert found.exit_code == 0, found.output
    for word in (
        "night",
        "day",
        "micro sleep alone",
        "+ both",
        "within a budget of 5 ms",
        "shortest light sleep 6 ms",
    ):
        assert word in " ".join(found.stdout.split()), word


def test_a_smaller_budget_fills_less(slots: Path) -> None:
    used = []
    for budget_ms in (0, 5, 20):
        document = json.loads(run("symbols", slots, "--json", "--latency-budget-ms", budget_ms).stdout)
        filling = document["mean"]["levers"]["filling"]
        assert filling["added_latency_p95_ms"] <= budget_ms
        used.append(filling["used_symbol_share"])
    assert used[0] > used[1] > used[2]


def test_a_stretched_ssb_period_rests_longer(slots: Path) -> None:
    power = []
    for period in (20, 40, 160):
        arguments = ("symbols", slots, "--json", "--frame", "fr1-fdd-15khz", "--ssb-period-ms", period)
        document = json.loads(run(*arguments).stdout)
        assert document["ssb_period_ms"] == period
        power.append(document["mean"]["levers"]["light_sleep"]["power"])
    assert power[0] > power[1] > power[2]


def test_category_2_radios_find_no_gap(slots: Path) -> None:
    found = run("symbols", slots, "--world", "3gpp-cat2-set2")
    assert "no gap is long enough" in " ".join(found.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--frame", "nowhere"), "neither a file nor a shipped frame"),
        (("--world", "earth-macro"), "no 3GPP reference radio"),
        (("--world", "nowhere"), "neither a file nor a known world"),
        (("--ssb-period-ms", "40"), "raise longest_period_ms"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_a_remedy(
    slots: Path, arguments: tuple[str, ...], message: str
) -> None:
    found = run("symbols", slots, *arguments)
    assert found.exit_code == 2
    assert message in found.stderr


def test_bad_input_names_its_place(slots: Path, tmp_path: Path) -> None:
    (tmp_path / "recordings.csv").write_bytes((slots / "recordings.csv").read_bytes())
    (tmp_path / "slots.csv").write_text("recording,ms,dl_prb,ul_prb\nnight,1,60,0\n")
    found = run("symbols", tmp_path)
    assert found.exit_code == 2
    assert "slots.csv, row 2: field dl_prb is 60.0; the recording has n_prb 52" in found.stderr


def test_ssb_periods_are_those_of_the_standard(slots: Path) -> None:
    found = run("symbols", slots, "--ssb-period-ms", 30)
    assert found.exit_code == 2
    assert "no SSB period" in " ".join(found.stderr.split())


def test_a_recording_keeps_its_load_on_any_frame() -> None:
    rng = np.random.default_rng(0)
    share = rng.uniform(0, 0.3, 1000)
    recording = SlotRecording("x", 52, 15, share, np.zeros(1000), 0.0)
    for world in ("3gpp-cat1-set1", "3gpp-cat1-set2", "3gpp-cat1-set3"):
        layout = load_carrier(world).layout
        demand = frame_demand(recording, layout)
        assert demand.mean() / layout.dl_symbol_share == pytest.approx(share.mean())


@pytest.mark.skipif(not NRSCOPE.is_dir(), reason="QUIETCELL_DATA names no folder with nrscope_tmobile")
def test_prediction_and_simulation_agree_on_recordings_that_were_not_fitted() -> None:
    carrier, model = load_carrier("3gpp-cat1-set2"), load_symbol_model()
    for recording in read_slots(NRSCOPE)[1::2]:
        for lever in case_figures(Case(recording, carrier, model))["levers"].values():
            assert abs(lever["predicted_error"]) <= 0.03
            assert lever["added_latency_p95_ms"] <= 10
