"""``quietcell traces synth`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from controller.cli import console
from controller.cli.synth_command import OPTION_OF_FIELD, synth
from traces.reading import read_trace
from traces.synthesis import SynthSpec, generate

app = typer.Typer()
app.command()(synth)
runner = CliRunner()


def test_it_writes_a_trace_that_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "city"
    options = (
        "--sites 3 --days 2 --layers 2 --step-s 3600 --seed 9 --missing 0.05 --logged 1 --site-energy --json"
    )
    result = runner.invoke(app, [str(out), *options.split()])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["n_cells"] == 18
    assert summary["n_capacity_cells"] == 9
    assert summary["n_steps"] == 48
    spec = SynthSpec(
        n_sites=3, days=2, layers=2, step_s=3600, seed=9, missing_share=0.05, logged_share=1, site_energy=True
    )
    trace, made = read_trace(out), generate(spec)
    assert trace.series().keys() == made.series().keys()
    for name, values in made.series().items():
        np.testing.assert_array_equal(trace.series()[name], values, err_msg=name)
    assert trace.site_energy is not None


def test_the_summary_says_what_was_made_and_what_to_do_next(tmp_path: Path) -> None:
    result = runner.invoke(app, [str(tmp_path / "a"), "--sites", "2", "--days", "1"])
    assert result.exit_code == 0, result.output
    assert "18 cells at 2 sites" in result.stdout
    assert "quietcell traces inspect" in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layers", "4"], ["--layers", "3"]),
        (["--sites", "0"], ["--sites"]),
        (["--step-s", "700"], ["--step-s", "divide an hour"]),
        (["--missing", "2"], ["--missing"]),
        (["--time-zone", "Mars"], ["--time-zone", "IANA"]),
        (["--start", "tomorrow"], ["--start", "2025-03-03"]),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    tmp_path: Path, options: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "city"
    result = runner.invoke(app, [str(out), *options])
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr
    assert not out.exists()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    result = runner.invoke(app, [str(tmp_path)])
    assert result.exit_code == 2
    assert [f.name for f in tmp_path.iterdir()] == ["precious"]


def test_progress_stays_off_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "QUIET_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    result = runner.invoke(app, [str(tmp_path / "a"), "--sites", "20", "--days", "1", "--json"])
    assert result.exit_code == 0
    json.loads(result.stdout)
    assert "sites" in result.stderr


def test_every_field_of_the_spec_that_can_fail_has_an_option() -> None:
    assert OPTION_OF_FIELD.keys() <= SynthSpec.model_fields.keys()
