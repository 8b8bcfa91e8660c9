"""What can be wrong with hardware descriptions."""


class WorldError(ValueError):
    """A world, catalogue entry or calibration that cannot be used; the message names the field and a remedy."""
