"""A world of several products: each draws and carries what it does alone, in one set of levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.worlds import CATALOGUE, load_world
from hw.errors import WorldError
from hw.world import World

THREE = CATALOGUE / "three-layer.yaml"
COVERAGE, MID, LARGE = 0, 1, 2


@pytest.fixture(scope="module")
def world() -> World:
    return load_world("three-layer").world


def test_full_rates_are_bandwidth_times_spectral_efficiency(world: World) -> None:
    assert world.full_rate_mbit_s == world.parameters["full_rate_mbit_s"] == 1000
    assert (world.sizes() * 1000).tolist() == pytest.approx([10 * 7.5, 100 * 8.5, 100 * 10])
    assert world.models_of(
        np.array(["capacity-3500-64t", "coverage-700"]), np.array(["a", "b"])
    ).tolist() == [2, 0]


def test_each_product_has_its_own_levels(world: World) -> None:
    channels = ("rf_channel_32", "rf_channel_16", "rf_channel_8", "rf_channel_2")
    assert world.level_names == ("full", "symbol", *channels, "carrier_shutdown", "deep_dormancy")
    used = [
        [name for name, has in zip(world.level_names, row, strict=True) if has] for row in world.has_level
    ]
    assert [[n.removeprefix("rf_channel_") for n in row[2:-2]] for row in used] == [
        ["2"],
        ["16", "8"],
        ["32", "16", "8"],
    ]
    assert world.asleep.tolist() == [False] * 6 + [True] * 2
    assert world.wake_s.tolist() == [0, 0, 1, 1, 1, 1, 60, 180]


def test_the_largest_layer_is_the_reference_radio(world: World) -> None:
    alone = load_world("3gpp-cat1-set1").world
    own = world.has_level[LARGE]
    for name in ("power", "rate_ratio", "capacity_ratio", "ul_power", "wake_energy"):
        np.testing.assert_array_equal(getattr(world, name)[LARGE, own], getattr(alone, name)[0], name)


def test_half_of_the_antennas_by_the_scaling_formula(world: World) -> None:
    """A full radio of 32 TxRU draws what the one of 64 draws at 32, and saves more below that."""
    large = load_world("3gpp-cat1-set1").world
    np.testing.assert_allclose(world.power[MID, 1], large.power[0, 2], rtol=1e-6)
    assert world.rate_ratio[MID, 3] == pytest.approx(large.rate_ratio[0, 2])


def test_what_a_product_lacks_is_not_dearer_or_cheaper_than_symbol_shutdown(world: World) -> None:
    for model, level in zip(*np.nonzero(~world.has_level), strict=True):
        np.testing.assert_array_equal(world.power[model, level], world.power[model, 1])


def test_products_of_two_categories_are_refused(tmp_path: Path) -> None:
    text = THREE.read_text().replace("deep_transition_ms: 50\n", "deep_transition_ms: 10000\n", 1)
    path = tmp_path / "mixed.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="one category"):
        load_world(str(path))


def test_a_product_with_a_ladder_that_rises_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rising.yaml"
    path.write_text(THREE.read_text().replace("txru_ladder: [16, 8]", "txru_ladder: [16, 32]"))
    with pytest.raises(
        WorldError, match=r"three-layer: capacity-2600-32t: txru_ladder must fall from below 32"
    ):
        load_world(str(path))


def test_a_trace_with_another_product_is_refused(world: World) -> None:
    with pytest.raises(WorldError, match=r"no model for product 'mid-32t'; known: \['capacity-2600-32t', "):
        world.models_of(np.array(["mid-32t"]), np.array(["c"]))
