"""What a journal says that decisions followed from."""

from __future__ import annotations

from pathlib import Path

from controller.live.config import LiveConfig
from controller.live.opening import named_files
from tests.controller.site.site_made import DEFAULTS, HEAD, write


def test_files_that_a_sites_file_names_count(tmp_path: Path) -> None:
    power = tmp_path / "power"
    power.mkdir()
    for name in ("tariff.yaml", "plant.yaml", "rural.yaml"):
        (power / name).write_text("read only where it is used\n")
    text = HEAD.replace("cn-five-period-demand", "tariff.yaml") + DEFAULTS
    more = "sites:\n- match: [west]\n  plant: plant.yaml\n- match: [east]\n  backup_class: rural.yaml\n"
    sites = write(power, text + more).path
    config = LiveConfig.model_validate(
        {
            "schema": "quietcell.live/1",
            "controller": "edge-1",
            "agents": [{"id": "power", "address": "127.0.0.1:2", "kind": "power"}],
            "trace": str(tmp_path / "trace"),
            "journal": str(tmp_path / "journal.db"),
            "sites": str(sites),
        }
    )
    own = [tmp_path / "trace", sites]
    assert named_files(config) == [*own, power / "plant.yaml", power / "rural.yaml", power / "tariff.yaml"]
    assert named_files(config.model_copy(update={"sites": None})) == own[:1]
