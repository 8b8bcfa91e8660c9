"""Records of site power as the text of a journal's entry. Powers are kept to the last bit."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np

from controller.live.power.events import ChargedSafely, PowerDecided, PowerRecord, PowerWithheld

POWER_RECORDS = (PowerDecided, PowerWithheld, ChargedSafely)
DTYPES = {
    "site": np.int32,
    "revision": np.uint64,
    "battery_w": np.float64,
    "import_limit_w": np.float64,
    "reason": np.uint8,
}


def power_text(record: PowerRecord) -> str:
    """All of a record but its time, by field."""
    values = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "unix_us"}
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return json.dumps(plain, separators=(",", ":"))


def power_record(of: type[PowerRecord], unix_us: int, text: str) -> PowerRecord:
    """The record of a text."""
    told: dict[str, Any] = json.loads(text)
    for name, dtype in DTYPES.items():
        if name in told:
            told[name] = np.array(told[name], dtype)
    if "programs" in told:
        told["programs"] = tuple(told["programs"])
    return of(unix_us=unix_us, **told)


def revisions_of(text: str) -> dict[int, int]:
    """Revisions of the sites that a text of commands names."""
    told = json.loads(text)
    return dict(zip(told["site"], told["revision"], strict=True))
