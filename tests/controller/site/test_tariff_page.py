"""The files printed in docs/tariffs.md can be loaded, and the tariffs it names are those that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

from controller.site.grid_events import load_events
from controller.site.tariff import load_tariff, tariff_names

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tariffs.md"


def test_the_printed_files_load(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    loaded = []
    for k, block in enumerate(blocks):
        path = tmp_path / f"{k}.yaml"
        path.write_text(block, encoding="utf-8")
        is_tariff = "quietcell.tariff/1" in block
        loaded.append(load_tariff(path).name if is_tariff else load_events(path).events[0].name)
    assert loaded == ["works", "market", "evening peak"]


def test_every_shipped_tariff_is_named() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    named |= {"two-level-demand", "three-level-demand"}  # "each also -demand"
    assert set(tariff_names()) == named - {"-demand"}
