"""``--site``: the option of commands that also compare what sites do with their batteries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.console import SAMPLE
from controller.errors import ConfigError
from traces.sample import sample_path

Sites = Annotated[
    Path | None,
    typer.Option(
        "--site",
        help="Sites file (quietcell.sites/1): batteries, tariff, backup classes of the sites, see docs/site-power.md; "
        "`sample` for the bundled sample. Adds what site policies cost, saved and did to the reserve.",
        show_default=False,
    ),
]


def sites_path(given: str) -> Path:
    """The sites file; ``sample`` is the bundled one unless a file has that name. Raises ConfigError without one."""
    path = Path(given)
    if given == SAMPLE and not path.exists():
        return sample_path().parent / "sites.yaml"
    if not path.is_file():
        raise ConfigError(f"sites file {given!r} does not exist; check the path, or use {SAMPLE}")
    return path
