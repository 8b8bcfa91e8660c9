"""A stand-in for a trained model: hour or quarter means by time of day, and half of the last error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from controller.forecast.layout import n_features
from controller.forecast.metadata import QUANTILES, ModelInfo
from controller.forecast.runtime import Source, StepForecast

SPREAD = np.array([0.0, 0.84, 1.28, 1.64, 2.33]) * 0.3


class Stepwise:
    """Learns while it runs, as StepForecaster does; ``model`` says for how many steps ahead."""

    def __init__(self, site: Any, step_s: int, time_zone: str, model: Any) -> None:
        self.step_s, self.horizon = step_s, model.info.horizon_steps
        self.mean = np.full((len(site), 86400 // step_s), np.nan)
        self.level, self.begin = np.full(len(site), np.nan), np.datetime64("1970-01-01", "s")
        self.observed: list[tuple[np.datetime64, np.ndarray]] = []
        self.asked = 0

    def observe(self, load: np.ndarray, begin: np.datetime64) -> None:
        self.observed.append((begin, load.copy()))
        self.begin = begin + np.timedelta64(self.step_s, "s")
        slot = self.slots(1)[0] - 1
        known = np.isfinite(load)
        old = self.mean[known, slot]
        self.mean[known, slot] = np.where(np.isnan(old), load[known], 0.5 * (old + load[known]))
        self.level = np.where(known, load, self.level)

    def slots(self, n: int) -> np.ndarray:
        first = int(self.begin.astype("datetime64[s]").astype(np.int64)) // self.step_s
        return (first + np.arange(n)) % self.mean.shape[1]

    def forecast(self) -> StepForecast:
        self.asked += 1
        profile = self.mean[:, self.slots(self.horizon)]
        expected = np.where(np.isnan(profile), self.level[:, None], 0.5 * (profile + self.level[:, None]))
        quantile = np.maximum(expected, 1e-3)[:, :, None] * np.exp(SPREAD)
        source = np.where(np.isnan(self.level), Source.NONE, Source.MODEL).astype(np.uint8)
        assert quantile.shape[2] == len(QUANTILES)
        return StepForecast(self.begin, self.step_s, quantile.astype(np.float32), source)


def model(*, step_s: int = 900, trained_until: str = "2025-03-03T06:00:00Z", horizon: int = 8) -> Any:
    """What replay needs to know of a loaded model."""
    info = ModelInfo(
        features="quietcell.features/1",
        n_features=n_features(step_s, horizon),
        step_s=step_s,
        horizon_steps=horizon,
        quantiles=QUANTILES,
        trained_from="2000-01-01T00:00:00Z",
        trained_until=trained_until,
        n_cells=1,
        n_rows=1,
        time_zone="UTC",
        country=None,
        made_by={},
        candidate="stand-in",
        score_edges=(),
        score_counts=[],
        anchors=(1,),
        reference={},
    )
    return SimpleNamespace(info=info, sha256="5eed" * 16, source="stand-in.onnx")
