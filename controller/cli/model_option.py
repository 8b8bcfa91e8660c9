"""``--model FILE``: the option of every command that forecasts, and reading the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel

ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="Forecast model of `quietcell train` for `predictive`. Default: its seasonal filter.",
        show_default=False,
    ),
]


def read_model(path: Path | None) -> LoadedModel | None:
    """The model of a file, None without one. onnxruntime is imported only for a model. Raises ModelError."""
    if path is None:
        return None
    from controller.forecast.model_file import load_model

    return load_model(path)
