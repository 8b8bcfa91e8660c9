"""Backup classes: for how long a site of a class and a mains grade is carried without mains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hw.spec import NotNegative, Positive, Spec

Floats = NDArray[np.float64]


class BackupClass(Spec):
    """How long sites of a class are carried without mains, and how they recover. Hours count from the failure."""

    name: Annotated[str, Field(min_length=1)]
    radio_backup_h: NotNegative
    transport_backup_h: NotNegative
    grade_factors: dict[str, NotNegative]  # mains grade: factor on both times
    lease_s: NotNegative  # time for which a plan outlives its controller
    recovery_limit_w: Positive  # charging after an outage, at the bus
    recovery_spread_s: NotNegative  # recovery begins after a random delay up to this
    recovery_within_s: Positive  # recovery ends at the latest this long after mains is back

    @model_validator(mode="after")
    def _radio_sheds_first(self) -> Self:
        if self.transport_backup_h < self.radio_backup_h:
            raise ValueError("transport_backup_h must not be below radio_backup_h: radio sheds first")
        if not self.grade_factors:
            raise ValueError("grade_factors must name the factor of at least one mains grade")
        if self.recovery_within_s <= self.recovery_spread_s:
            raise ValueError("recovery_within_s must be above recovery_spread_s: a delay is part of recovery")
        return self


class Backup(NamedTuple):
    """What each site must be carried for. All (n,) [s]."""

    radio_s: Floats
    transport_s: Floats
    lease_s: Floats


def backup_of(classes: Sequence[BackupClass], grades: Sequence[str]) -> Backup:
    """Times of n sites from the class and the mains grade of each. Raises ValueError for a grade without factor."""
    if len(classes) != len(grades):
        raise ValueError(f"{len(classes)} classes for {len(grades)} mains grades")
    for c, grade in zip(classes, grades, strict=True):
        if grade not in c.grade_factors:
            raise ValueError(
                f"class {c.name} has no factor for mains grade {grade!r}: add it to grade_factors"
            )
    factor_s = [3600 * c.grade_factors[grade] for c, grade in zip(classes, grades, strict=True)]
    return Backup(
        np.array([c.radio_backup_h * f for c, f in zip(classes, factor_s, strict=True)]),
        np.array([c.transport_backup_h * f for c, f in zip(classes, factor_s, strict=True)]),
        np.array([c.lease_s for c in classes], np.float64),
    )
