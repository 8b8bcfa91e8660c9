"""The synthetic network as a whole: seeds, partitions, topology, time, faults, events and growth."""

from __future__ import annotations

import dataclasses
import datetime as dt
import zoneinfo
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from traces.synth.clock import make_clock
from traces.synth.layout import HEX_DIRECTIONS, hex_position
from traces.synthesis import AREA_TYPES, Event, SynthSpec, generate
from traces.trace import Cells, Trace

SMALL = SynthSpec(n_sites=4, days=3, step_s=1800, seed=5)
BUSY = SynthSpec(
    n_sites=6,
    days=7,
    step_s=1800,
    seed=8,
    missing_share=0.05,
    outages_per_site_week=1,
    events_per_site_week=1,
    logged_share=1,
    site_energy=True,
)


def changed(spec: SynthSpec, **fields: object) -> SynthSpec:
    return SynthSpec.model_validate({**spec.model_dump(), **fields})


def assert_same(a: Trace, b: Trace) -> None:
    for name in (f.name for f in dataclasses.fields(Cells)):
        np.testing.assert_array_equal(getattr(a.cells, name), getattr(b.cells, name), err_msg=name)
    assert (a.start, a.step_s, a.time_zone) == (b.start, b.step_s, b.time_zone)
    assert a.series().keys() == b.series().keys()
    for name, values in a.series().items():
        np.testing.assert_array_equal(values, b.series()[name], err_msg=name)
    assert (a.site_energy is None) == (b.site_energy is None)
    if a.site_energy is not None and b.site_energy is not None:
        np.testing.assert_array_equal(a.site_energy.site_id, b.site_energy.site_id)
        np.testing.assert_array_equal(a.site_energy.energy, b.site_energy.energy)


def test_same_spec_gives_the_same_trace_and_another_seed_another() -> None:
    first = generate(BUSY)
    assert_same(first, generate(BUSY))
    other = generate(changed(BUSY, seed=BUSY.seed + 1))
    assert not np.array_equal(first.dl_prb_ratio, other.dl_prb_ratio, equal_nan=True)


@settings(max_examples=10, deadline=None)
@given(first=st.integers(0, 5), n=st.integers(1, 6), seed=st.integers(0, 2**63 - 1))
def test_a_partition_holds_the_same_sites_as_the_whole(first: int, n: int, seed: int) -> None:
    n = min(n, 6 - first)
    whole = generate(changed(BUSY, seed=seed, days=2))
    part = generate(changed(BUSY, seed=seed, days=2, first_site=first, n_sites=n))
    wanted = np.isin(whole.cells.site_id, np.unique(part.cells.site_id))
    assert_same(whole.select_cells(np.flatnonzero(wanted)), part)


def test_sites_are_not_copies_of_each_other() -> None:
    load = generate(SMALL).dl_prb_ratio
    assert len(np.unique(load, axis=0)) == len(load)


def test_arrays_obey_the_contract() -> None:
    trace = generate(BUSY)
    assert (trace.n_cells, trace.n_steps) == (6 * 3 * 3, 7 * 48)
    for name, values in trace.series().items():
        assert values.dtype == np.float32, name
        assert values.flags.c_contiguous, name
        np.testing.assert_array_equal(np.isnan(values), trace.missing, err_msg=name)
        assert np.nanmin(values) >= 0, name
    for name in ("dl_prb_ratio", "ul_prb_ratio", "activation_symbol", "activation_carrier_shutdown"):
        assert np.nanmax(trace.series()[name]) <= 1, name
    assert set(trace.cells.area_type) <= set(AREA_TYPES)


def test_the_trace_begins_at_local_midnight() -> None:
    trace = generate(changed(SMALL, time_zone="Asia/Shanghai", start=dt.date(2025, 3, 3)))
    assert trace.start == np.datetime64("2025-03-02T16:00:00")


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize("start", [dt.date(2025, 3, 29), dt.date(2025, 10, 25), dt.date(2025, 4, 4)])
def test_local_time_follows_daylight_saving(zone: str, start: dt.date) -> None:
    spec = changed(SMALL, time_zone=zone, start=start)
    clock = make_clock(spec)
    info = zoneinfo.ZoneInfo(zone)
    middle = spec.start_utc + (np.arange(spec.n_steps) * 2 + 1) * np.timedelta64(spec.step_s // 2, "s")
    for i, instant in enumerate(middle):
        local = instant.astype(object).replace(tzinfo=dt.UTC).astimezone(info)
        if zone == "Australia/Lord_Howe" and local.day in (5, 6) and local.hour < 3:
            continue  # its offset changes by half an hour, within an hour of the trace
        assert clock.local_hour[i] == pytest.approx(local.hour + local.minute / 60), local
        assert clock.is_weekend[i] == (local.weekday() >= 5), local
        assert clock.day[i] == (local.date() - start).days, local


def test_one_layer_has_only_coverage_cells() -> None:
    cells = generate(changed(SMALL, layers=1)).cells
    assert not cells.is_capacity.any()
    assert len(cells.candidate) == 0


@pytest.mark.parametrize("layers", [2, 3])
def test_capacity_cells_have_the_other_layers_of_their_sector_as_candidates(layers: int) -> None:
    cells = generate(changed(SMALL, layers=layers)).cells
    for i in range(len(cells)):
        group = i // layers * layers
        own = [c for c in range(group, group + layers) if c != i]
        assert list(cells.candidates_of(i)) == (own if i != group else [])
        assert cells.is_capacity[i] == (i != group)


def test_a_low_band_covers_and_carries_less() -> None:
    trace = generate(SynthSpec(n_sites=6, days=2, step_s=1800, low_band=True, seed=5))
    cells = trace.cells
    assert cells.product[:3].tolist() == ["coverage-700", "capacity-2600-32t", "capacity-3500-64t"]
    assert cells.bandwidth_mhz[:3].tolist() == [10, 100, 100]
    assert cells.is_capacity[:3].tolist() == [False, True, True]
    load = np.nanmean(trace.dl_prb_ratio.reshape(-1, 3, trace.n_steps), axis=(0, 2))
    assert load[0] == pytest.approx(1.2 * load[1:].mean(), rel=0.15)  # some users know only the low band
    assert trace.dl_volume_bit is not None
    volume = np.nansum(trace.dl_volume_bit.reshape(-1, 3, trace.n_steps), axis=(0, 2))
    assert volume[0] < 0.06 * volume.sum()


def test_a_low_band_has_no_logged_operator() -> None:
    with pytest.raises(ValidationError, match="low_band goes without logged_share"):
        changed(SMALL, low_band=True, logged_share=0.5)


def test_overlap_reaches_the_coverage_layer_of_a_neighbour() -> None:
    spec = changed(SMALL, n_sites=19, layers=2, neighbour_overlap=1.0, days=1)
    cells = generate(spec).cells
    foreign = 0
    for i in range(len(cells)):
        for other in cells.candidates_of(i):
            if cells.site_id[other] == cells.site_id[i]:
                continue
            foreign += 1
            assert cells.is_capacity[i] and not cells.is_capacity[other]
            apart_deg = np.hypot(
                cells.latitude_deg[i] - cells.latitude_deg[other],
                cells.longitude_deg[i] - cells.longitude_deg[other],
            )
            assert apart_deg * 111.32 < 1.0  # an inter-site distance of 0.5 km, with jitter
    assert foreign > 19
    some = generate(changed(spec, neighbour_overlap=0.3)).cells
    assert 0 < len(some.candidate) - len(some) // 2 < foreign


def test_hexagonal_spiral_visits_every_point_once_and_rings_in_order() -> None:
    points = [hex_position(i) for i in range(3 * 12 * 13 + 1)]
    assert len(set(points)) == len(points)
    rings = [max(abs(q), abs(r), abs(q + r)) for q, r in points]
    assert rings == sorted(rings)
    steps = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points[1:7])}
    assert steps <= set(HEX_DIRECTIONS)


def test_faults_change_nothing_that_is_still_recorded() -> None:
    plain = generate(changed(SMALL, seed=3))
    faulty = generate(changed(SMALL, seed=3, missing_share=0.1, site_energy=True))
    assert 0.05 < faulty.missing_share < 0.15
    for name, values in faulty.series().items():
        kept = ~faulty.missing
        np.testing.assert_array_equal(values[kept], plain.series()[name][kept], err_msg=name)


def test_missing_share_is_met_on_average() -> None:
    spec = changed(SMALL, n_sites=60, layers=1, days=7, missing_share=0.2)
    assert generate(spec).missing_share == pytest.approx(0.2, abs=0.02)


def test_outages_are_silent_or_leave_no_record() -> None:
    spec = changed(SMALL, n_sites=40, layers=2, days=7, outages_per_site_week=1, site_energy=True)
    trace = generate(spec)
    assert trace.site_energy is not None
    by_site = trace.dl_prb_ratio.reshape(40, 6, -1)
    lost = np.isnan(by_site).all(axis=1)
    silent = (by_site == 0).all(axis=1)
    np.testing.assert_array_equal(np.isnan(trace.site_energy.energy), lost)
    assert 8 <= lost.any(axis=1).sum() <= 32
    assert 8 <= silent.any(axis=1).sum() <= 32
    assert trace.site_energy.energy[silent].min() > 0  # on air, without traffic
    assert trace.dl_volume_bit is not None
    assert not trace.dl_volume_bit.reshape(40, 6, -1).transpose(0, 2, 1)[silent].any()


def test_an_event_raises_the_traffic_of_its_evening_only() -> None:
    event = Event(site=1, start_h=43, duration_h=2, factor=5)
    base = changed(SMALL, median_load=0.1)
    plain, with_event = generate(base), generate(changed(base, events=[event]))
    hour = (np.arange(base.n_steps) + 0.5) * base.step_s / 3600
    touched = (hour > 42) & (hour < 46)
    site = plain.cells.site_id == "S00001"
    np.testing.assert_array_equal(plain.dl_prb_ratio[~site], with_event.dl_prb_ratio[~site])
    np.testing.assert_array_equal(plain.dl_prb_ratio[:, ~touched], with_event.dl_prb_ratio[:, ~touched])
    during = (hour > 43) & (hour < 45)
    rise = with_event.dl_prb_ratio[site][:, during].mean() / plain.dl_prb_ratio[site][:, during].mean()
    assert 2 < rise < 6


def test_growth_multiplies_the_traffic_week_by_week() -> None:
    spec = SynthSpec(n_sites=30, layers=1, days=21, step_s=3600, median_load=0.03, bursts_per_sector_day=0)
    flat, grown = (generate(changed(spec, growth_per_week=g)).dl_prb_ratio for g in (0.0, 0.1))
    weeks = grown.sum(axis=0).reshape(3, -1).sum(axis=1) / flat.sum(axis=0).reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(weeks[1:] / weeks[:-1], 1.1, atol=0.003)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_sites", 0),
        ("layers", 4),
        ("step_s", 700),
        ("step_s", 7200),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("area_mix", {"moon": 1.0}),
        ("area_mix", {"rural": 0.0}),
        ("missing_share", 0.9),
        ("median_load", 0.0),
        ("seed", -1),
        ("events", [{"site": 9, "start_h": 1, "duration_h": 1, "factor": 2}]),
        ("events", [{"site": 1, "start_h": 100, "duration_h": 1, "factor": 2}]),
        ("colour", "red"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field.removesuffix("s")):
        changed(SMALL, **{field: value})
