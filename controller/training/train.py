"""Training of a forecast model on a trace, from rows to a sealed ONNX file with its card."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from controller.errors import ModelError
from controller.forecast.calibration import group_edges, tally
from controller.forecast.layout import n_features, steps_per_day
from controller.forecast.metadata import N_SCORES, QUANTILES, SCHEMA, ModelInfo
from controller.forecast.model_file import load_bytes, seal
from controller.training.blend import load_of
from controller.training.candidates import fit_candidates
from controller.training.card import make_card, write_card
from controller.training.choose import FEWEST_DAYS, Choice, Progress, choose
from controller.training.graph import build_graph
from controller.training.parity import check_parity
from controller.training.rows import Rows, make_series, training_rows
from controller.training.spread import fit_spread
from controller.wholefile import whole_file
from traces import Trace


def quiet(what: str, share: float) -> None:
    """Progress that nobody watches."""
    del what, share


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: the sealed file, what it says about itself, and its card."""

    onnx: bytes
    info: ModelInfo
    card: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the model, and beside it the card as ``.json`` and ``.md``. Each appears whole or not at all."""
        with whole_file(path) as partial:
            partial.write_bytes(self.onnx)
        write_card(path, self.card)


def train(
    trace: Trace,
    *,
    until_step: int | None = None,
    country: str | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Trained:
    """Train on the steps before ``until_step``, default all.

    Candidates are compared by rolling origin inside that part; the best is fitted again on all of it.
    Raises ModelError where the part is too short or nothing is recorded in it.
    """
    until = trace.n_steps if until_step is None else until_step
    _check(trace, until)
    series = make_series(trace, country)
    # many small fits: threads inside them only get into each other's way
    with threadpool_limits(1):
        progress("reading the past", 0.0)
        choice = choose(series, until, seed, progress)
        progress("fitting", 0.7)
        rows = training_rows(series, until, np.random.default_rng([seed, 0]))
        candidates = fit_candidates(rows, seed=seed)
        spread = fit_spread(choice.folds, choice.blend)
        graph = build_graph(candidates, choice.blend, spread)
        progress("checking the export", 0.9)
        plain = _info(trace, until, country, choice, rows)
        model = load_bytes(_sealed(graph, plain), "the exported model")
        check_parity(model, rows.features[:2000], candidates, choice.blend, spread)
    forecasts = [model.run(fold.rows.features) for fold in choice.folds]
    learnt = _scores(choice, forecasts, plain.n_cells) | {"reference": _reference(choice, forecasts)}
    info = plain.model_copy(update=learnt)
    return Trained(_sealed(graph, info), info, make_card(trace, info, choice, forecasts))


def _check(trace: Trace, until: int) -> None:
    try:
        per_day = steps_per_day(trace.step_s)
    except ValueError as error:
        raise ModelError(f"{trace.source}: {error}; resample the trace") from error
    if until < FEWEST_DAYS * per_day:
        raise ModelError(
            f"{trace.source}: {until} steps of {trace.step_s} s are {until / per_day:.1f} days; a forecaster needs "
            f"{FEWEST_DAYS} days to learn from; record longer, or replay without a model"
        )
    if not np.isfinite(trace.dl_prb_ratio[:, :until]).any():
        raise ModelError(
            f"{trace.source}: nothing is recorded in the first {until} steps; choose a later end"
        )


def _info(trace: Trace, until: int, country: str | None, choice: Choice, rows: Rows) -> ModelInfo:
    horizon = rows.target.shape[1]
    first = int(np.flatnonzero(np.isfinite(trace.dl_prb_ratio[:, :until]).any(0))[0])
    names = ("quietcell", "scikit-learn", "onnx", "numpy")
    return ModelInfo(
        features="quietcell.features/1",
        n_features=n_features(trace.step_s, horizon),
        step_s=trace.step_s,
        horizon_steps=horizon,
        quantiles=QUANTILES,
        trained_from=_utc(trace, first),
        trained_until=_utc(trace, until),
        n_cells=int(np.isfinite(trace.dl_prb_ratio[:, :until]).any(1).sum()),
        n_rows=len(rows.cell),
        time_zone=trace.time_zone,
        country=country,
        made_by={name: version(name) for name in names},
        candidate=choice.name,
        score_edges=(),
        score_counts=[],
        anchors=choice.blend.anchors,
        reference={},
    )


def _utc(trace: Trace, step: int) -> str:
    moment = trace.start + np.timedelta64(step * trace.step_s, "s")
    return f"{moment.astype('datetime64[s]')}Z"


def _sealed(graph: onnx.ModelProto, info: ModelInfo) -> bytes:
    """The file: graph, metadata and checksum."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    for key, value in (("quietcell.schema", SCHEMA), ("quietcell.info", info.model_dump_json())):
        model.metadata_props.add(key=key, value=value)
    return seal(model.SerializeToString(deterministic=True))


def _scores(choice: Choice, forecasts: list[NDArray[np.float32]], n_cells: int) -> dict[str, Any]:
    """Where values of the validation parts fell among the quantiles: the calibration starts from it.

    Errors far ahead belong to their day, and few validated days are few draws: a new day lies further off by
    sqrt(1 + 1 / days) (the spread of a further draw around a mean of so many). Near ahead a day has many draws.
    """
    anchors = choice.blend.anchors
    horizon = forecasts[0].shape[1]
    medians = np.concatenate([quantile[:, [h - 1 for h in anchors], 0].ravel() for quantile in forecasts])
    edges = group_edges(medians, n_cells)
    counts = np.zeros((len(edges) + 1, len(anchors), N_SCORES))
    for fold, quantile in zip(choice.folds, forecasts, strict=True):
        truth = load_of(fold.rows.target).astype(np.float32)
        for a, h in enumerate(anchors):
            made = np.ascontiguousarray(quantile[:, h - 1])
            further = np.float32(np.sqrt(1 + h / horizon / choice.validated_days))
            tally(made, made[:, 0] + further * (truth[:, h - 1] - made[:, 0]), edges, counts[:, a])
    # edges must ascend; a network of idle cells may have several in one place
    steps = np.maximum.accumulate(edges) + np.arange(len(edges), dtype=np.float32) * np.float32(1e-6)
    return {
        "score_edges": tuple(round(float(edge), 7) for edge in steps),
        "score_counts": counts.tolist(),
    }


def _reference(choice: Choice, forecasts: list[NDArray[np.float32]]) -> dict[str, float]:
    """WAPE over the validation parts: of each candidate, and of the model one step ahead for the watch over drift."""
    found = {f"validated_{name}": value for name, value in choice.validated.items()}
    error, volume = 0.0, 0.0
    for fold, quantile in zip(choice.folds, forecasts, strict=True):
        truth = load_of(fold.rows.target[:, 0])
        error += float(np.nansum(np.abs(truth - quantile[:, 0, 0])))
        volume += float(np.nansum(truth))
    return found | {"wape_1_step": error / max(volume, 1e-12)}
