"""Smaller candidates than those of the product, so that a training takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.training import candidates


@pytest.fixture(scope="package", autouse=True)
def small_candidates() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "N_BINS", 15)
        patch.setattr(candidates, "N_TREES", 20)
        patch.setattr(candidates, "N_NETWORKS", 2)
        yield
