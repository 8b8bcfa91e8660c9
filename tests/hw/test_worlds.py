"""The catalogue and world files: what they compile to, against values by hand, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.worlds import CATALOGUE, default_evaluation, load_world, world_names
from hw.errors import WorldError
from hw.world import LOAD_BINS, World, depth
from tests.hw.naive_radio import SETS, Set, dl_load, frame_power

CAT1 = CATALOGUE / "3gpp-cat1-set1.yaml"
EARTH = {
    "earth-macro": (780, 1344, 450),
    "earth-rrh": (504, 840, 336),
    "earth-micro": (112, 144.76, 78),
    "earth-pico": (13.6, 14.64, 8.6),
}


def level(world: World, name: str) -> int:
    return world.level_names.index(name)


def test_the_catalogue_holds_every_set_and_base_station() -> None:
    assert set(world_names()) == {*SETS, *EARTH, "three-layer"}


@pytest.mark.parametrize("name", [*SETS, *EARTH])
def test_every_world_of_the_catalogue_is_sound(name: str) -> None:
    world = load_world(name).world
    assert world.name == name
    assert world.level_names[-2:] == ("carrier_shutdown", "deep_dormancy")
    assert world.asleep.tolist() == [n in world.level_names[-2:] for n in world.level_names]
    assert world.has_level.all()
    on_air = world.rate_ratio[:, ~world.asleep]
    assert (on_air[:, :2] == 1).all()
    assert (np.diff(on_air[:, 1:]) < 0).all()
    assert (world.rate_ratio[:, world.asleep] == 0).all()
    np.testing.assert_array_equal(world.capacity_ratio, world.rate_ratio)
    idle = world.power[0, :, 0]
    assert (np.diff(idle[1:-2]) < 0).all()
    assert (idle[-2:] < idle[:-2].min()).all()
    assert (np.diff(world.power, axis=2) >= 0).all()
    assert world.wake_s.tolist() == [0, 0, *[1] * (len(world.level_names) - 4), 60, 180]
    assert world.models_of(np.array(["anything"]), np.array(["c"])).tolist() == [0]


def drawn(of: Set, load: float, share: float, *, symbol_shutdown: bool) -> float:
    """What the frame draws at a load; between whole symbols a straight line."""
    free = of.n_dl - of.n_always_on
    below = max(k for k in range(free) if dl_load(of, k) <= load)
    around = (below, below + 1)
    powers = [frame_power(of, used, 0, share, symbol_shutdown=symbol_shutdown) for used in around]
    return float(np.interp(load, [dl_load(of, used) for used in around], powers))


@pytest.mark.parametrize("name", SETS)
def test_3gpp_worlds_draw_what_the_frame_draws(name: str) -> None:
    of, world = SETS[name], load_world(name).world
    txru = [int(n.removeprefix("rf_channel_")) for n in world.level_names[2:-2]]
    reference = {"1": 64, "2": 32, "3": 2}[name[-1]]
    for i, share in enumerate([1.0, 1.0, *(n / reference for n in txru)]):
        for at in (0, 17, LOAD_BINS // 3, LOAD_BINS):
            expected = drawn(of, at / LOAD_BINS, share, symbol_shutdown=i > 0)
            assert world.power[0, i, at] == pytest.approx(expected, rel=1e-5)
        receiving, resting = (frame_power(of, 0, n, share, symbol_shutdown=True) for n in (of.n_ul, 0))
        assert world.ul_power[0, i] == pytest.approx(receiving - resting, rel=1e-5)
    assert (world.ul_power[0, -2:] == 0).all()


@pytest.mark.parametrize(
    ("name", "light", "light_energy", "deep_energy"),
    [(n, 25 if "cat1" in n else 2.1, 0.09 if "cat1" in n else 1.088, 1 if "cat1" in n else 17) for n in SETS],
)
def test_cells_off_air_draw_their_sleep_and_pay_for_waking(
    name: str, light: float, light_energy: float, deep_energy: float
) -> None:
    world = load_world(name).world
    off, deep = level(world, "carrier_shutdown"), level(world, "deep_dormancy")
    np.testing.assert_allclose(world.power[0, off], light)
    np.testing.assert_allclose(world.power[0, deep], 1)
    assert world.wake_energy[0, [off, deep]] == pytest.approx([light_energy, deep_energy])
    assert (world.wake_energy[0, :off] == 0).all()
    assert world.power_unit == "P1"
    assert world.watt_per_unit is None


def test_the_first_world_by_hand() -> None:
    world = load_world("3gpp-cat1-set1").world
    channels = ("rf_channel_32", "rf_channel_16", "rf_channel_8")
    assert world.level_names == ("full", "symbol", *channels, "carrier_shutdown", "deep_dormancy")
    always_on = 55 + 225 * (0.4 + 0.6 * 20 / 273)
    empty = {"full": 145, "symbol": 55, "rf_channel_32": 55}
    txru = {"full": 1, "symbol": 1, "rf_channel_32": 0.5}
    for name, idle in empty.items():
        sent = 55 + txru[name] * (always_on - 55)
        by_hand = 0.75 * (48 * sent + 512 * idle) / 560 + 0.25 * 55
        assert world.power[0, level(world, name), 0] == pytest.approx(by_hand)
    all_used = 0.75 * (48 * always_on + 512 * 280) / 560 + 0.25 * 55
    assert world.power[0, :2, -1] == pytest.approx([all_used, all_used])
    assert world.ul_power[0, :3] == pytest.approx([0.25 * 55, 0.25 * 55, 0.125 * 55])
    assert world.rate_ratio[0].round(2).tolist() == pytest.approx([1, 1, 0.85, 0.71, 0.57, 0, 0])
    assert world.full_rate_mbit_s == 1000
    assert world.ul_per_dl == 0.25


@pytest.mark.parametrize(("name", "watts"), EARTH.items())
def test_earth_worlds_by_hand(name: str, watts: tuple[float, float, float]) -> None:
    world = load_world(name).world
    idle, full, asleep = watts
    for awake in (0, 1):
        assert world.power[0, awake, [0, -1]] == pytest.approx([idle, full])
    np.testing.assert_allclose(world.power[0, -2:], asleep, rtol=1e-6)
    assert (world.ul_power == 0).all()
    assert (world.power_unit, world.watt_per_unit) == ("W", 1.0)


def test_parameters_echo_the_files() -> None:
    echoed = load_world("3gpp-cat2-set2").world.parameters
    assert echoed["model"] == "3gpp"
    assert echoed["radio"]["active_dl"] == 26
    assert echoed["always_on"]["symbol_share"] == pytest.approx(48 / 560)
    assert echoed["service"]["target_mbit_s"] == 25
    assert echoed["traffic_path"] == {
        "sample_s": 60, "sigma": 0.3, "sigma_low": 0.15, "sigma_high": 0.45, "correlation_s": 300,
    }  # fmt: skip


def changed(tmp_path: Path, change: Callable[[str], str]) -> str:
    text = CAT1.read_text()
    new = change(text)
    assert new != text
    path = tmp_path / "world.yaml"
    path.write_text(new)
    return str(path)


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (replaced("  micro_sleep: 55", "  micro_slep: 55"), r"world.yaml:\d+: .*micro_sl"),
        (replaced("  micro_sleep: 55\n", ""), r"micro_sleep"),
        (
            replaced("micro_sleep: 55", 'micro_sleep: "55"'),
            r"world.yaml:16: radio.micro_sleep.*write a number without quotes",
        ),
        (replaced("micro_sleep: 55", "micro_sleep: 5"), r"must not fall from deep_sleep"),
        (replaced("txru: 64", "txru: 0"), r"radio.txru.*greater than 0"),
        (replaced("txru: 64", "txru: 64.5"), r"radio.txru"),
        (replaced("static_share: 0.4", "static_share: 40"), r"static_share.*less than or equal to 1"),
        (replaced("duplex: TDD", "duplex: XDD"), r"radio.duplex.*TDD"),
        (replaced("scs_khz: 30", "scs_khz: 45"), r"radio.scs_khz"),
        (replaced("model: 3gpp", "model: 4gpp"), r"4gpp"),
        (replaced("quietcell.world/1", "quietcell.world/2"), r"quietcell.world/1"),
        (replaced("txru: 64", "txru: 64\n  txru: 32"), r"txru"),
        (replaced("active_dl: 280", "active_dl: 2.8e2"), r"write the number in full"),
        (lambda text: text + "evaluation:\n  ul_per_dl: 0.3\n", r"evaluation.*missing|plan_interval_s"),
    ],
)
def test_a_world_file_that_is_wrong_is_refused_by_line(
    tmp_path: Path, change: Callable[[str], str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_world(changed(tmp_path, change))


@pytest.mark.parametrize("ladder", ["[64, 32]", "[32, 32]", "[16, 32]", "[128]"])
def test_a_ladder_that_does_not_fall_is_refused(tmp_path: Path, ladder: str) -> None:
    with pytest.raises(WorldError, match="txru_ladder must fall from below 64"):
        load_world(changed(tmp_path, replaced("[32, 16, 8]", ladder)))


def test_an_unknown_world_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"neither a file nor a known world.*3gpp-cat1-set1"):
        load_world("3gpp-cat3-set1")


def test_a_world_file_brings_its_own_evaluation(tmp_path: Path) -> None:
    evaluation = (
        (CATALOGUE / "evaluation.yaml")
        .read_text()
        .replace("loss_db_per_halving: 3 ", "loss_db_per_halving: 6 ")
    )
    inside = "evaluation:\n" + "".join(f"  {line}\n" for line in evaluation.splitlines())
    steep = load_world(changed(tmp_path, lambda text: text + inside))
    assert steep.evaluation.rf_channel.loss_db_per_halving == 6
    assert steep.world.rate_ratio[0, 2] == pytest.approx(load_world("3gpp-cat1-set1").world.rate_ratio[0, 3])


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("plan_interval_s: 900", "plan_interval_s: 90", "whole number of traffic_path.sample_s"),
        ("wake_s: 180", "wake_s: 901", "wake_s must not exceed plan_interval_s"),
    ],
)
def test_a_plan_holds_whole_samples_and_wake_ups(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    evaluation = (CATALOGUE / "evaluation.yaml").read_text().replace(old, new)
    inside = "evaluation:\n" + "".join(f"  {line}\n" for line in evaluation.splitlines())
    with pytest.raises(ConfigError, match=complaint):
        load_world(changed(tmp_path, lambda text: text + inside))


def test_products_that_a_world_does_not_know_are_named() -> None:
    world = load_world("3gpp-cat1-set1").world
    fields = {name: getattr(world, name) for name in World.__slots__} | {
        "model_of_product": {"A": 0, "c9": 0}
    }
    known = World(**fields)
    assert known.models_of(np.array(["A", "B"]), np.array(["c1", "c9"])).tolist() == [0, 0]
    with pytest.raises(WorldError, match=r"no model for product 'B'"):
        known.models_of(np.array(["A", "B"]), np.array(["c1", "c2"]))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("level_names", ("full", "symbol", "deep_dormancy", "carrier_shutdown"), "shallow to deep"),
        ("level_names", ("symbol", "full"), "must start with full, symbol"),
        ("level_names", ("full", "symbol", "nap"), "'nap' is no level"),
        ("level_names", ("full", "symbol"), "power must have shape"),
        ("power", np.full((1, 7, LOAD_BINS + 1), np.nan, np.float32), "finite"),
        ("power", np.full((1, 7, LOAD_BINS + 1), -1, np.float32), "not negative"),
    ],
)
def test_a_world_that_is_unsound_is_refused(field: str, value: object, complaint: str) -> None:
    world = load_world("3gpp-cat1-set1").world
    fields = {name: getattr(world, name) for name in World.__slots__} | {field: value}
    with pytest.raises(WorldError, match=re.escape(complaint)):
        World(**fields)


def test_levels_run_from_shallow_to_deep() -> None:
    names = [
        "full",
        "symbol",
        "rf_channel_32",
        "rf_channel_8",
        "night_shutdown",
        "carrier_shutdown",
        "deep_dormancy",
    ]
    assert sorted([*names[3:], *names[:3]], key=depth) == names
    for wrong in ("rf_channel_", "rf_channel_x", "Full", ""):
        with pytest.raises(WorldError, match="is no level"):
            depth(wrong)


def test_assumptions_of_the_evaluation() -> None:
    evaluation = default_evaluation()
    service = evaluation.service
    assert evaluation.plan_interval_s == 900
    assert service.unserved_share == 1e-4
    assert service.below_target_share == 1e-3
    assert (service.cell_below_target_share, service.cells_over_limit_share) == (0.01, 0.01)
    assert service.level_changes_per_cell_day == 12
    assert service.curve_targets_mbit_s == (5, 25, 50)
    assert evaluation.always_on.symbol_share == pytest.approx(48 / 560, rel=1e-12)
