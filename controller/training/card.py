"""The model card: what a model was trained on, what it was compared with, and how far off it was on later data.

All errors are of the validation parts: steps that the compared model had not seen. WAPE is the sum of absolute errors
over the sum of the load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.forecast.metadata import QUANTILES, ModelInfo
from controller.training.blend import load_of
from controller.training.choose import FEWEST_DAYS, Choice
from controller.training.rows import SHORT_DAYS
from controller.wholefile import write_text_whole
from traces import Trace

SCHEMA = "quietcell.model-card/1"
DECILES = 10
Float64 = NDArray[np.float64]


def make_card(
    trace: Trace, info: ModelInfo, choice: Choice, forecasts: list[NDArray[np.float32]]
) -> dict[str, Any]:
    """The card as a document. ``forecasts`` are the model's quantiles of the rows of each fold, (m, H, Q)."""
    truth = np.concatenate([load_of(fold.rows.target) for fold in choice.folds])
    quantile = np.concatenate(forecasts)
    area = np.concatenate([trace.cells.area_type[fold.rows.cell] for fold in choice.folds])
    return {
        "schema": SCHEMA,
        "trace": trace.source,
        "candidate": info.candidate,
        "validated_wape": choice.validated,
        "trained_from": info.trained_from,
        "trained_until": info.trained_until,
        "n_cells": info.n_cells,
        "n_rows": info.n_rows,
        "step_s": info.step_s,
        "horizon_steps": info.horizon_steps,
        "time_zone": info.time_zone,
        "country": info.country,
        "made_by": info.made_by,
        "by_horizon": [
            {"horizon_steps": h, **_errors(truth[:, h - 1], quantile[:, h - 1])} for h in info.anchors
        ],
        "by_area_type": [
            {"area_type": str(name) or "unknown", **_errors(truth[area == name], quantile[area == name])}
            for name in np.unique(area)
        ],
        "by_load_decile": _by_decile(truth, quantile),
        "cannot": _limits(info),
    }


def _errors(truth: Float64, quantile: NDArray[np.float32]) -> dict[str, Any]:
    """WAPE and share of values not above each quantile. ``truth`` (...), ``quantile`` (..., Q)"""
    known = np.isfinite(truth)
    if not known.any():
        return {"n": 0, "wape": None, "wape_reason": "nothing was recorded", "coverage": {}}
    value, forecast = truth[known], quantile[known]
    volume = float(value.sum())
    return {
        "n": int(known.sum()),
        "wape": float(np.abs(value - forecast[:, 0]).sum()) / max(volume, 1e-12),
        "coverage": {str(q): float((value <= forecast[:, k] + 1e-6).mean()) for k, q in enumerate(QUANTILES)},
    }


def _by_decile(truth: Float64, quantile: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Errors by the size of the forecast median; deciles of the truth would sort by the error itself."""
    median = quantile[:, :, 0]
    edges = np.quantile(median, np.arange(1, DECILES) / DECILES)
    decile = np.searchsorted(edges, median)
    return [{"decile": d + 1, **_errors(truth[decile == d], quantile[decile == d])} for d in range(DECILES)]


def _limits(info: ModelInfo) -> list[str]:
    """What this training could not teach."""
    begin, end = info.trained_span
    days = (end - begin) / np.timedelta64(1, "D")
    found = []
    if days < FEWEST_DAYS + 1:
        found.append("Fewer than three days: nothing could be validated; the seasonal profile forecasts.")
    if days < SHORT_DAYS:
        found.append("Fewer than two weeks: it knows no weekdays, weekends or holidays.")
    elif info.country is None:
        found.append("No country was named: it knows weekends, but no holidays.")
    if days < 365:
        found.append("Less than a year: it has not seen every season.")
    return found


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card beside a model, as ``.json`` and ``.md``."""
    write_text_whole(path.with_suffix(".json"), json.dumps(card, indent=2, allow_nan=False) + "\n")
    write_text_whole(path.with_suffix(".md"), _markdown(card))


def _markdown(card: dict[str, Any]) -> str:
    lines = [
        "# Forecast model",
        "",
        f"Trained on {card['trace']}, {card['trained_from']} to {card['trained_until']}: {card['n_cells']} cells, "
        f"{card['n_rows']} rows, steps of {card['step_s']} s, {card['horizon_steps']} steps ahead.",
        "",
        f"Chosen: **{card['candidate']}**. WAPE over the validation parts:",
        "",
        "| candidate | WAPE |",
        "|---|---|",
        *(
            f"| {name} | {value:.4f} |"
            for name, value in sorted(card["validated_wape"].items(), key=lambda kv: kv[1])
        ),
        "",
        *(f"- {limit}" for limit in card["cannot"]),
    ]
    for title, key, name in (
        ("Horizon", "by_horizon", "horizon_steps"),
        ("Area type", "by_area_type", "area_type"),
        ("Decile of the forecast", "by_load_decile", "decile"),
    ):
        lines += ["", f"| {title} | values | WAPE | {' | '.join(f'not above {q}' for q in QUANTILES)} |"]
        lines.append("|" + "---|" * (3 + len(QUANTILES)))
        for row in card[key]:
            if row["n"]:
                shares = " | ".join(f"{share:.3f}" for share in row["coverage"].values())
                lines.append(f"| {row[name]} | {row['n']} | {row['wape']:.4f} | {shares} |")
    return "\n".join(lines) + "\n"
