"""Sites files: what wins over what, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.errors import ConfigError
from controller.site.building import prepare
from controller.site.catalogue import CLASSES, load_class
from controller.site.sites_file import SitesFile
from tests.controller.site.site_made import DEFAULTS, HEAD, grid, write


def test_later_entries_win_and_a_size_takes_the_place_of_the_other(tmp_path: Path) -> None:
    text = (
        HEAD + DEFAULTS + "sites:\n- match: ['*']\n  transport_w: 400.0\n- match: [west]\n  rated_kwh: 30.0\n"
    )
    east, west = write(tmp_path, text).resolve(["east", "west"])
    assert (east.transport_w, west.transport_w) == (400.0, 400.0)
    assert (east.packs, east.rated_kwh) == (2, None)
    assert (west.packs, west.rated_kwh) == (None, 30.0)


def test_sizes_make_the_plant(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS + "sites:\n- match: [west]\n  rated_kwh: 30.0\n  rectifier_modules: 6\n"
    plant = prepare(write(tmp_path, text), grid(3)).plant
    assert plant.rated_wh.tolist() == [20480.0, 30000.0]
    assert plant.sites["modules"].tolist() == [4, 6]


def test_the_price_of_a_pack_is_in_the_currency_of_the_tariff(tmp_path: Path) -> None:
    one = prepare(write(tmp_path, HEAD + DEFAULTS), grid(3)).plant
    other = prepare(write(tmp_path, HEAD.replace("7.7", "15.4") + DEFAULTS), grid(3)).plant
    assert other.sites["price_per_wh"] == pytest.approx(2 * one.sites["price_per_wh"])


PROGRAM = """  on_battery_program:
    acknowledged: true
    reaction_s: 60.0
    stages:
    - {after_s: 0.0, radio_ratio: 0.5}
"""
WITHOUT_RATE = HEAD.replace("exchange_rate: 7.7\n", "")
REFUSED = {
    "unknown pattern": (HEAD + DEFAULTS + "sites:\n- match: [north]\n", "'north' fits no site.*east, west"),
    "no plant": (HEAD + DEFAULTS.replace("  plant: macro-lfp-200ah\n", ""), "site east has no plant"),
    "unknown plant": (
        HEAD + DEFAULTS.replace("macro-lfp-200ah", "diesel"),
        "'diesel'.*known: macro-lfp-200ah",
    ),
    "no rate": (WITHOUT_RATE + DEFAULTS, "priced in EUR, the tariff is in CNY; add exchange_rate"),
    "needless rate": (HEAD.replace("cn-five-period-demand", "three-level") + DEFAULTS, "remove it"),
    "no indoor": (HEAD + DEFAULTS.replace("  indoor_c: 25.0\n", ""), "neither cooling nor indoor_c"),
    "two sizes": (HEAD + DEFAULTS + "  rated_kwh: 20.0\n", "packs and rated_kwh both"),
    "pv without weather": (HEAD + DEFAULTS + "  pv_kwp: 2.0\n", "pv_kwp but no weather"),
    "weather without file": (HEAD + DEFAULTS + "  weather: here\n", "no file does; add weather: path"),
    "unknown class": (
        HEAD + DEFAULTS.replace("backup_class: urban", "backup_class: moon"),
        "known: rural, sub",
    ),
    "unknown grade": (
        HEAD + DEFAULTS.replace("mains_grade: urban", "mains_grade: x"),
        "known: urban, grade-1",
    ),
    "unknown field": (HEAD + DEFAULTS + "  colour: red\n", r"sites\.yaml:12: defaults\.colour"),
    "prices unasked": (HEAD + "prices: {path: x}\n" + DEFAULTS, "prices of its own; remove prices"),
    "prices missing": (HEAD.replace("cn-five-period-demand", "be-day-ahead") + DEFAULTS, "add prices: path"),
    "two outages": (HEAD + "outages: {path: x, drawn_with_seed: 1}\n" + DEFAULTS, "not both"),
    "stage does more": (
        HEAD + DEFAULTS + PROGRAM + "    - {after_s: 60.0, radio_ratio: 0.6}\n",
        "radio_ratio must not rise",
    ),
    "stage begins earlier": (
        HEAD
        + DEFAULTS
        + PROGRAM
        + "    - {after_s: 60.0, radio_ratio: 0.4}\n    - {after_s: 50.0, radio_ratio: 0.3}\n",
        "after_s must not fall",
    ),
    "radio without transport": (
        HEAD + DEFAULTS + PROGRAM + "    - {after_s: 60.0, radio_ratio: 0.4, transport: false}\n",
        "radio sheds first",
    ),
    "program sheds first": (
        HEAD
        + DEFAULTS
        + "  on_battery_program:\n    acknowledged: true\n    reaction_s: 60.0\n    stages:\n"
        + "    - {after_s: 60.0, radio_ratio: 0.5}\n",
        "the first stage begins at once",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why_and_what_to_do(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    if case == "needless rate":
        text = text.replace("urban-lfp", "macro-lfp")
    with pytest.raises(ConfigError, match=message):
        prepare(write(tmp_path, text), grid(3))


def test_shipped_classes_are_in_order() -> None:
    names = ("urban", "suburban", "rural")
    assert {path.stem for path in CLASSES.glob("*.yaml")} == set(names)
    hours = [load_class(name, Path()).radio_backup_h for name in names]
    assert hours == [1.0, 3.0, 5.0]
    for name in names:
        own = load_class(name, Path())
        assert own.name == name
        assert own.transport_backup_h > own.radio_backup_h


def test_the_bundled_file_fits_the_bundled_sample() -> None:
    from traces.sample import sample_path

    file = SitesFile(sample_path().parent / "sites.yaml")
    sites = file.resolve([f"S{i:05d}" for i in range(8)])
    assert [site.backup_class for site in sites] == ["urban"] * 6 + ["suburban"] * 2
