"""Training: parity of the exported graph, honest choice, short traces, and nothing seen of later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.errors import ModelError
from controller.forecast.backtest import backtest
from controller.forecast.layout import ahead_columns
from controller.forecast.model_file import load_bytes, load_model
from controller.training.blend import Blend
from controller.training.candidates import anchors_of, between_anchors, fit_candidates
from controller.training.choose import Choice, Fold
from controller.training.graph import build_graph
from controller.training.parity import TOLERANCE, check_parity, predict
from controller.training.rows import later_rows, make_series, training_rows
from controller.training.spread import fit_spread
from controller.training.train import Trained, _info, _sealed, train
from tests.controller.forecast.invented import invented_trace


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(invented_trace(6, 18))


def test_all_parts_of_the_graph_agree_with_scikit_learn() -> None:
    """Ridge, boosting and network all have a share, so each part of the graph is compared."""
    trace = invented_trace(4, 20)
    series, rng = make_series(trace, None), np.random.default_rng(0)
    rows = training_rows(series, 17 * 24, rng)
    later = later_rows(series, 17 * 24, 20 * 24, rng)
    candidates = fit_candidates(rows, seed=0)
    blend = Blend(candidates.anchors, np.tile([0.3, 0.4, 0.2], (len(candidates.anchors), 1)))
    folds = [Fold(later, candidates.correct(later.features))]
    spread = fit_spread(folds, blend)
    info = _info(trace, 17 * 24, None, Choice("combination", blend, folds, 3), rows)
    model = load_bytes(_sealed(build_graph(candidates, blend, spread), info), "model")
    assert check_parity(model, later.features, candidates, blend, spread) <= TOLERANCE
    candidates.ridge[0][1].coef_[0] += 0.01
    difference = np.abs(model.run(later.features) - predict(later.features, candidates, blend, spread)).max()
    assert difference > TOLERANCE
    with pytest.raises(ModelError, match="differs"):
        check_parity(model, later.features, candidates, blend, spread)


def test_a_trained_model_beats_the_seasonal_profile(trained: Trained) -> None:
    later = invented_trace(6, 24, seed=0)
    model = load_bytes(trained.onnx, "model")
    error = {}
    for name, one in (("model", model), ("seasonal", None)):
        made = backtest(one, later, horizons=(1,), first_origin=18 * 24, last_origin=24 * 24 - 1)
        error[name] = np.nanmean(np.abs(made.quantile[..., 0] - made.truth(later.dl_prb_ratio)))
    assert error["model"] < 0.85 * error["seasonal"]


def test_the_same_seed_gives_the_same_file(trained: Trained) -> None:
    assert train(invented_trace(6, 18)).onnx == trained.onnx


def test_data_after_the_training_part_changes_nothing(trained: Trained) -> None:
    longer = invented_trace(6, 18).select_cells(np.arange(6))
    part = train(longer, until_step=16 * 24)
    longer.dl_prb_ratio[:, 16 * 24 :] = 0.7
    assert train(longer, until_step=16 * 24).onnx == part.onnx
    assert part.onnx != trained.onnx


def test_model_and_card_are_written(trained: Trained, tmp_path: Path) -> None:
    trained.save(tmp_path / "m.onnx")
    assert load_model(tmp_path / "m.onnx").info == trained.info
    assert trained.info.candidate in (tmp_path / "m.md").read_text(encoding="utf-8")
    assert (tmp_path / "m.json").is_file()


def test_two_days_are_enough_and_say_what_they_cannot_teach() -> None:
    made = train(invented_trace(3, 2))
    assert made.info.candidate == "seasonal"
    assert any("validated" in line for line in made.card["cannot"])


def test_less_than_two_days_are_refused() -> None:
    with pytest.raises(ModelError, match="2 days"):
        train(invented_trace(3, 1))


def test_rotated_rows_hold_every_pair_of_step_and_horizon_once() -> None:
    trace = invented_trace(2, 5)
    trace.dl_prb_ratio[:] = np.random.default_rng(0).uniform(0.1, 0.9, trace.dl_prb_ratio.shape)
    rows = training_rows(make_series(trace, None), 5 * 24, np.random.default_rng(0))
    u = np.log(trace.dl_prb_ratio + 0.01)
    for h in (1, 24):
        for cell in range(2):
            targets = rows.target[rows.cell == cell, h - 1]
            targets = targets[np.isfinite(targets)]
            assert len(np.unique(targets)) == len(targets)
            assert np.isin(targets, u[cell, 24:]).all()


def test_rotated_profiles_do_not_hold_their_own_target() -> None:
    trace = invented_trace(1, 3)
    trace.dl_prb_ratio[:] = np.repeat([0.2, 0.4, 0.8], 24)
    rows = training_rows(make_series(trace, None), 3 * 24, np.random.default_rng(0))
    base = rows.features[:, ahead_columns("base", 24)[0]]
    last_day = np.isclose(rows.target[:, 0], np.log(0.81))
    assert last_day.any()
    # of the last day's rows the first see two other days, later ones of their own day only other hours
    assert (base[last_day] < np.log(0.7)).all()


def test_anchors_reach_from_the_next_step_to_the_last() -> None:
    for horizon in (2, 24, 96, 288):
        anchors = anchors_of(horizon)
        assert (anchors[0], anchors[-1]) == (1, horizon)
        assert between_anchors(anchors, horizon).sum(0) == pytest.approx(np.ones(horizon))
