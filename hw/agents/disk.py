"""The agent's own state on disk: one file, replaced as a whole.

A missing file is a fresh agent. A file that cannot be trusted is kept aside and the stop latch is set: what it said
of epoch and latch is unknown, so nothing sleeps until an administrator has looked.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from hw.adapters.power import OnBattery
from hw.agents.durable import Durable, Latch, Position
from hw.folders import sync_folder

SCHEMA = "quietcell.agent-state/1"
MOST_KEPT_ASIDE = 100


class StateInUseError(OSError):
    """Another agent uses the state."""


class AgentDisk:
    """The state file of one agent, locked for as long as the object lives."""

    def __init__(self, folder: Path, agent_id: str) -> None:
        """``folder`` is made where it is absent; several agents may share it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.agent_id = agent_id
        self.path = folder / f"{quote(agent_id, safe='')}.json"
        self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StateInUseError(
                f"{self.path}: in use by a running agent; stop it or name another --state folder"
            ) from error
        for left in folder.glob(f".{self.path.name}.????????.partial"):  # by one that was killed as it wrote
            left.unlink()

    @property
    def heads(self) -> Path:
        """File for heads of the controller's journal."""
        return self.path.with_suffix(".heads")

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._lock)

    def load(self, unix_us: int) -> Durable:
        """The state; ``unix_us`` dates the latch that a damaged file sets."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Durable()
        try:
            return _decode(data, self.agent_id)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            aside = self._keep_aside(data)
            reason = f"damaged state file kept as {aside.name}: {error!r}"[:500]
            durable = Durable(latch=Latch(True, "agent", reason, unix_us))
            self.write(durable)
            return durable

    async def save(self, durable: Durable) -> None:
        """Write the state without holding up the event loop; it is on disk when this returns. Raises OSError."""
        await asyncio.to_thread(self.write, durable)

    def write(self, durable: Durable) -> None:
        """Write the state; it is on disk when this returns. Raises OSError."""
        _replace(self.path, _encode(durable, self.agent_id))

    def _keep_aside(self, data: bytes) -> Path:
        for i in range(MOST_KEPT_ASIDE):
            aside = self.path.with_suffix(f".damaged-{i}")
            if not aside.exists():
                break
        _replace(aside, data)
        return aside


def _replace(path: Path, data: bytes) -> None:
    # a name of its own: whoever writes late writes into no file that another one has put in place
    handle, name = tempfile.mkstemp(".partial", f".{path.name}.", path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _encode(durable: Durable, agent_id: str) -> bytes:
    body = {
        "schema": SCHEMA,
        "agent_id": agent_id,
        "highest_epoch": durable.highest_epoch,
        "latch": asdict(durable.latch),
        "programs": {
            name: asdict(program) | {key: getattr(program, key).tolist() for key in _STAGES}
            for name, program in durable.programs.items()
        },
        "positions": {name: asdict(position) for name, position in durable.positions.items()},
        "saved_unix_us": durable.saved_unix_us,
        "granted_to": durable.granted_to,
        "granted_instance": durable.granted_instance,
        "grant_ms": durable.grant_ms,
    }
    text = json.dumps(body, sort_keys=True)
    return json.dumps({"body": text, "sha256": _digest(text)}).encode()


_STAGES = ("after_s", "below_ratio", "radio_ratio", "keeps_transport")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _decode(data: bytes, agent_id: str) -> Durable:
    outer = json.loads(data)
    if outer["sha256"] != _digest(outer["body"]):
        raise ValueError("its checksum does not fit")
    body: dict[str, Any] = json.loads(outer["body"])
    if body["schema"] != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, not {body['schema']!r}")
    if body["agent_id"] != agent_id:
        raise ValueError(f"it is of agent {body['agent_id']!r}")
    return Durable(
        int(body["highest_epoch"]),
        Latch(**body["latch"]),
        {name: _program(fields) for name, fields in body["programs"].items()},
        {name: Position(**fields) for name, fields in body["positions"].items()},
        int(body["saved_unix_us"]),
        str(body.get("granted_to", "")),  # older files have none
        str(body.get("granted_instance", "")),
        int(body.get("grant_ms", 0)),
    )


def _program(fields: dict[str, Any]) -> OnBattery:
    arrays = {key: np.array(fields[key], np.float64) for key in _STAGES[:-1]}
    keeps = np.array(fields["keeps_transport"], np.bool_)
    return OnBattery(
        int(fields["site"]),
        int(fields["revision"]),
        **arrays,
        keeps_transport=keeps,
        back_s=float(fields["back_s"]),
    )
