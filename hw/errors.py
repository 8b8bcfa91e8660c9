"""What can be wrong with hardware descriptions, and with what secures its agents."""


class WorldError(ValueError):
    """A world, catalogue entry or calibration that cannot be used; the message names the field and a remedy."""


class SecurityError(ValueError):
    """A certificate, key, address or name that cannot be trusted; the message names it and a remedy."""
