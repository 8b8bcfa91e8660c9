"""Catalogue files of symbols: frames and the constants of the closed form."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from hw.symbols.closed_form import SymbolModelSpec
from hw.symbols.frame import FrameSpec

SYMBOLS = Path(str(files("hw").joinpath("symbols")))


def frame_names() -> list[str]:
    """Names of the shipped frames."""
    return sorted(p.stem for p in (SYMBOLS / "frames").glob("*.yaml"))


def load_frame(name_or_file: str) -> FrameSpec:
    """A shipped frame by name, or one of a file. Raises ConfigError naming line, field and remedy."""
    if name_or_file in frame_names():
        return load_yaml(SYMBOLS / "frames" / f"{name_or_file}.yaml", FrameSpec)
    if not Path(name_or_file).is_file():
        known = ", ".join(frame_names())
        raise ConfigError(f"frame {name_or_file!r} is neither a file nor a shipped frame; shipped: {known}")
    return load_yaml(Path(name_or_file), FrameSpec)


def load_symbol_model() -> SymbolModelSpec:
    """The calibrated constants of hw/symbols/model.yaml."""
    return load_yaml(SYMBOLS / "model.yaml", SymbolModelSpec)
