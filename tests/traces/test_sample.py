"""The bundled sample: it can be made again, is small, and shows what a newcomer should see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from traces import sample
from traces.reading import read_trace
from traces.sample import SAMPLE_SPEC, STADIUM_EVENING, make_sample, sample_path
from traces.synthesis import AREA_TYPES
from traces.trace import Trace


@pytest.fixture(scope="module")
def bundled() -> Trace:
    return read_trace(sample_path())


def test_the_bundled_sample_is_what_the_generator_makes(bundled: Trace) -> None:
    made = make_sample()
    for name in ("cell_id", "site_id", "carrier", "product", "area_type", "txru", "is_capacity", "candidate"):
        np.testing.assert_array_equal(getattr(bundled.cells, name), getattr(made.cells, name), err_msg=name)
    np.testing.assert_allclose(bundled.cells.latitude_deg, made.cells.latitude_deg, atol=1e-9)
    assert (bundled.start, bundled.step_s, bundled.time_zone) == (made.start, made.step_s, made.time_zone)
    assert bundled.quarantine.total == 0
    assert bundled.series().keys() == made.series().keys()
    for name, values in made.series().items():
        # another processor may round a last digit the other way, never more
        np.testing.assert_allclose(bundled.series()[name], values, rtol=1e-2, atol=1.1e-3, err_msg=name)
        assert np.mean(~np.isclose(bundled.series()[name], values, equal_nan=True)) < 1e-4, name
    assert bundled.site_energy is not None and made.site_energy is not None
    np.testing.assert_array_equal(bundled.site_energy.site_id, made.site_energy.site_id)
    np.testing.assert_allclose(bundled.site_energy.energy, made.site_energy.energy, atol=1.1)


def test_making_it_replaces_the_bundled_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "sample_path", lambda: tmp_path)
    (tmp_path / "traffic.parquet").write_bytes(b"old")
    sample.main()
    first = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    sample.main()
    assert first == {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    assert sum(len(content) for content in first.values()) < 600_000


def test_it_is_small_enough_to_ship() -> None:
    assert sum(f.stat().st_size for f in sample_path().iterdir()) < 600_000
    assert 60 <= SAMPLE_SPEC.n_cells <= 100


def test_it_has_layers_area_types_gaps_and_an_outage(bundled: Trace) -> None:
    assert bundled.cells.is_capacity.mean() == pytest.approx(2 / 3)
    assert set(bundled.cells.area_type) == set(AREA_TYPES)
    assert 0 < bundled.missing_share < 0.02
    by_site = bundled.dl_prb_ratio.reshape(SAMPLE_SPEC.n_sites, 9, -1)
    assert ((by_site == 0).all(axis=1).sum(axis=1) >= 4).sum() == 1  # one silent outage of an hour
    assert np.isnan(by_site).all(axis=1).any()


def test_the_stadium_evening_stands_out(bundled: Trace) -> None:
    site = bundled.cells.site_id == bundled.cells.site_id[0]
    by_day = bundled.dl_prb_ratio[site].reshape(9, 14, 96)[:, :, 19 * 4 : 22 * 4]
    evenings = np.nanmean(by_day, axis=(0, 2))
    day = int(STADIUM_EVENING.start_h // 24)
    assert evenings[day] > 1.5 * np.delete(evenings, day).max()


def test_capacity_may_rest_at_night_and_is_needed_in_busy_hours(bundled: Trace) -> None:
    rate = np.where(bundled.cells.txru == 32, 0.85, 1.0)[:, None]
    sector = np.nansum((bundled.dl_prb_ratio * rate).reshape(24, 3, -1), axis=1)
    hour = (np.arange(bundled.n_steps) * bundled.step_s / 3600) % 24
    night = sector[:, (hour >= 1) & (hour < 6)]
    assert (night < 0.5).mean() > 0.8
    busy = (sector > 0.85).mean(axis=1)  # more than a coverage cell carries
    assert 0.1 < busy.mean() < 0.4
    assert (busy > 0.05).sum() > 10


def test_the_operator_logged_night_shutdown_at_some_sites(bundled: Trace) -> None:
    shutdown, symbol = bundled.activation["carrier_shutdown"], bundled.activation["symbol"]
    asleep = shutdown == 1
    assert not asleep[~bundled.cells.is_capacity].any()
    assert (bundled.dl_prb_ratio[asleep] == 0).all()
    local_hour = (np.arange(bundled.n_steps) * bundled.step_s / 3600) % 24
    assert not asleep[:, (local_hour < 1) | (local_hour >= 5)].any()
    by_site = asleep.reshape(SAMPLE_SPEC.n_sites, -1).any(axis=1)
    assert 2 <= by_site.sum() < SAMPLE_SPEC.n_sites
    assert np.nanmax(shutdown + symbol) <= 1
