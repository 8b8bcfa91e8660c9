"""The digest by which a controller and an agent know that they mean the same leases."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

CELL = np.dtype([("place", "<u4"), ("revision", "<u8"), ("level", "<u4")])
SITE = np.dtype([("place", "<u4"), ("revision", "<u8"), ("battery_w", "<f8"), ("import_limit_w", "<f8")])


def active_digest(active: NDArray[np.void]) -> bytes:
    """SHA-256 over the records of an active set, of dtype CELL or SITE, in the order of their places."""
    return hashlib.sha256(np.sort(active, order="place").tobytes()).digest()
