"""The gate at export: the graph says what scikit-learn's own predictions say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.layout import ahead_columns
from controller.forecast.model_file import LoadedModel
from controller.training.blend import Blend, load_of
from controller.training.candidates import Candidates, between_anchors
from controller.training.spread import Spread

TOLERANCE = 1e-5  # of a load


def predict(
    features: NDArray[np.float32], candidates: Candidates, blend: Blend, spread: Spread
) -> NDArray[np.float64]:
    """Quantiles by the fitted scikit-learn estimators. (m, F) -> (m, H, Q) [ratio]"""
    horizon = candidates.horizon_steps
    between = between_anchors(candidates.anchors, horizon)
    base = features[:, list(ahead_columns("base", horizon))]
    median = base + blend.correction(candidates.correct(features))
    distance = np.exp(np.clip(spread.log_spread(features) @ between, *spread.limits))
    places = np.einsum("aq,ah->hq", spread.place, between)
    return load_of(median[:, :, None] + distance[:, :, None] * places)


def check_parity(
    model: LoadedModel,
    features: NDArray[np.float32],
    candidates: Candidates,
    blend: Blend,
    spread: Spread,
) -> float:
    """Largest difference between graph and estimators on some rows. Raises ModelError above ``TOLERANCE``."""
    difference = float(np.abs(model.run(features) - predict(features, candidates, blend, spread)).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{model.source}: it differs by {difference:.2g} from the estimators it was made of, more than "
            f"{TOLERANCE}; the installed scikit-learn grows trees that this export does not know: install a version "
            "that pyproject.toml allows"
        )
    return difference
