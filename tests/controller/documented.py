"""What stands in docs/policies.md, as printed: its examples, and a plug-in installed from them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of a language, in the order of the page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def install(folder: Path, name: str, version: str, entry_points: dict[str, str]) -> None:
    """What pip leaves of a distribution, without its code."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "\n".join(f"{key} = {value}" for key, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[quietcell.policies]\n{lines}\n")


def install_example(folder: Path) -> str:
    """Install the plug-in of the page into a folder; the name of its policy."""
    project = tomllib.loads(blocks("toml")[0])["project"]
    entries = project["entry-points"]["quietcell.policies"]
    ((name, value),) = entries.items()
    install(folder, project["name"], project["version"], entries)
    (folder / f"{value.partition(':')[0]}.py").write_text(blocks("python")[0])
    return str(name)
