"""Packs the page's series into one compressed block, which assets/decode.js unpacks in the browser."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATIO_STEPS = 4000  # a ratio is kept to 0.025 percentage points
ALIGNMENT = 8  # a typed array in the browser starts at a multiple of its item size


class Packer:
    """Collects arrays, little-endian, and knows where each one starts.

    A quantised array stores ``round(value * scale)``; the largest value of its type stands for NaN.
    """

    def __init__(self) -> None:
        self.manifest: dict[str, dict[str, Any]] = {}
        self._bytes = bytearray()

    def ratio(self, name: str, array: NDArray[np.floating[Any]]) -> None:
        """Add ratios as uint16; values outside 0..16 are clipped, NaN is kept."""
        missing = np.iinfo(np.uint16).max
        with np.errstate(invalid="ignore"):
            steps = np.clip(np.rint(np.asarray(array, np.float64) * RATIO_STEPS), 0, missing - 1)
        self._add(name, np.where(np.isnan(steps), missing, steps).astype("<u2"), RATIO_STEPS)

    def index(self, name: str, array: NDArray[np.uint8]) -> None:
        """Add small indices as they are."""
        self._add(name, np.asarray(array, np.uint8), 1)

    def quantity(self, name: str, array: NDArray[np.floating[Any]]) -> None:
        """Add quantities of any size as float32."""
        self._add(name, np.asarray(array, "<f4"), 1)

    def _add(self, name: str, array: NDArray[Any], scale: int) -> None:
        self._bytes.extend(bytes(-len(self._bytes) % ALIGNMENT))
        self.manifest[name] = {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "offset": len(self._bytes),
            "scale": scale,
        }
        self._bytes.extend(np.ascontiguousarray(array).tobytes())

    def packed(self) -> str:
        """All arrays, one after the other, deflated, in base64."""
        return deflated(bytes(self._bytes))


def deflated(content: bytes) -> str:
    """Content in zlib's format, in base64: safe inside any HTML element."""
    return base64.b64encode(zlib.compress(content, 6)).decode("ascii")


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: no character in it can end the element or start a comment.

    Raises ValueError for NaN and infinities, which are no figures.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
