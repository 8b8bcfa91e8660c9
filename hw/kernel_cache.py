"""Keeps compiled kernels apart by the state of their sources.

numba recompiles a cached kernel when its own file changes, but not when a kernel that it calls from another file
does (docs/decisions/0003). In a checkout, every state of the sources therefore gets a cache folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("controller", "hw", "policies", "traces")


def keep_kernels_apart() -> None:
    """Set numba's cache folder, unless the environment does or this is an installed copy, which nobody edits."""
    if "NUMBA_CACHE_DIR" in os.environ or not (ROOT / "pyproject.toml").is_file():
        return
    sources = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    digest = hashlib.sha256(b"".join(text for path in sources if b"njit" in (text := path.read_bytes())))
    folder = str(ROOT / ".venv" / "numba" / digest.hexdigest()[:16])
    os.environ["NUMBA_CACHE_DIR"] = folder  # also for child processes
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder
