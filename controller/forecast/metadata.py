"""What a forecast model says about itself: the JSON under ``quietcell.info`` in the model file."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from controller.forecast.layout import DAY_S

SCHEMA = "quietcell.model/1"
QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99)
MAX_INFO_CHARACTERS = 4 << 20
N_SCORES = 320  # bins of a histogram of the calibration

UtcText = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[float, Field(ge=0)]


class ModelInfo(BaseModel):
    """A model's inputs, outputs and origin. Raises pydantic.ValidationError where they do not fit together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Literal["quietcell.features/1"]
    n_features: int = Field(ge=1)
    step_s: int = Field(ge=1, le=DAY_S // 2)
    horizon_steps: int = Field(ge=1)
    quantiles: tuple[float, ...]
    trained_from: UtcText
    trained_until: UtcText  # end of the last step used
    n_cells: int = Field(ge=0)
    n_rows: int = Field(ge=0)
    time_zone: Name
    country: Name | None
    made_by: dict[str, str]  # versions of quietcell, scikit-learn and the like
    candidate: Name  # which of the candidates was chosen
    score_edges: tuple[float, ...]
    score_counts: list[
        list[list[Count]]
    ]  # calibration's first histograms: [group between edges][anchor][score bin]; may be empty
    anchors: tuple[int, ...]
    reference: dict[str, float]  # errors at training, for the watch over drift; may be empty

    @property
    def trained_span(self) -> tuple[np.datetime64, np.datetime64]:
        """``trained_from`` and ``trained_until`` as times, UTC."""
        begin, end = (text.removesuffix("Z") for text in (self.trained_from, self.trained_until))
        return np.datetime64(begin, "s"), np.datetime64(end, "s")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if DAY_S % self.step_s:
            raise ValueError(f"step_s {self.step_s} does not divide a day of {DAY_S} s")
        if self.horizon_steps > DAY_S // self.step_s:
            raise ValueError(f"horizon_steps {self.horizon_steps} of {self.step_s} s are more than a day")
        if self.quantiles != QUANTILES:
            raise ValueError(f"quantiles {self.quantiles} are not the known {QUANTILES}")
        if self.trained_from >= self.trained_until:
            raise ValueError(
                f"trained_from {self.trained_from} is not before trained_until {self.trained_until}"
            )
        if any(low >= high for low, high in pairwise(self.score_edges)):
            raise ValueError("score_edges do not ascend")
        if any(not 1 <= anchor <= self.horizon_steps for anchor in self.anchors):
            raise ValueError(f"anchors {self.anchors} are not all steps from 1 to {self.horizon_steps}")
        if not self.anchors or any(low >= high for low, high in pairwise(self.anchors)):
            raise ValueError(f"anchors {self.anchors} do not ascend")
        if self.score_counts and len(self.score_counts) != len(self.score_edges) + 1:
            raise ValueError(f"score_counts do not have {len(self.score_edges) + 1} groups")
        if any(len(by_anchor) != len(self.anchors) for by_anchor in self.score_counts):
            raise ValueError(f"score_counts do not have {len(self.anchors)} anchors in each bin")
        if any(len(counts) != N_SCORES for by_anchor in self.score_counts for counts in by_anchor):
            raise ValueError(f"score_counts do not all have {N_SCORES} score bins")
        return self


def parse_info(text: str) -> ModelInfo:
    """A ModelInfo from its JSON. Raises ValueError naming up to three fields, their values and what is wrong."""
    if len(text) > MAX_INFO_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, more than {MAX_INFO_CHARACTERS}")
    try:
        return ModelInfo.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors(include_url=False)[:3]]
    raise ValueError(", ".join(problems))


def _problem(detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if not place:
        return str(message)
    return f"{place}: {message}" + (
        "" if detail["type"] == "missing" else f" (value {str(detail['input'])[:60]})"
    )
