"""What the simulated plant refuses, and how it keeps silent."""

from __future__ import annotations


class PlantError(ValueError):
    """A request that the plant cannot mean; says what is wrong with it."""


class PlantSilentError(OSError):
    """The plant of this agent answers nothing."""
