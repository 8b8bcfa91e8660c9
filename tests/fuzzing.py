"""Messages to fuzz an agent with: real ones as a controller would send them now, then changed with their structure.

Most stay valid wire format with wrong values, order, sizes or identities, since bytes that are no message at all get no
further than protobuf. One seed gives one sequence.
"""

from __future__ import annotations

import random
import string
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2
from quietcell.ran.v1 import ran_pb2

INTEGERS = (0, 1, 2, 7, 255, 256, 65_535, 65_536, 2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e308, -1e308, float("nan"), float("inf"), float("-inf"))
TEXTS = ("", "edge-2", "../../etc", "\0", "\n", "\u202e", "é" * 9, "x" * 512, "x" * 513, "%s%n{}")
UINT32 = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32)
MUTATED_SHARE = 0.65
WIRE_SHARE = 0.06  # of the mutated, changed as bytes
REPLAYED_SHARE = 0.12  # of the mutated, sent a second time
TERM_MS = 60_000
LAST = 2**64 - 1


@dataclass
class View:
    """What a controller knows of an agent with n cells or sites."""

    n: int
    boot_id: bytes = b""
    epoch: int = 1
    now_us: int = 10_000_000
    digest: bytes = b""
    revision: list[int] = field(default_factory=list)  # (n,)
    level: list[int] = field(default_factory=list)  # (n,) in force; for cells
    allowed: list[list[int]] = field(default_factory=list)  # (n, .) levels that each cell can take
    power_max_w: float = 5000.0  # for sites


class Fuzzer:
    """An endless sequence of serialised ControlRequests for one agent."""

    def __init__(
        self,
        seed: int,
        view: View,
        real: Callable[[random.Random, View], Message],
        mutated_share: float = MUTATED_SHARE,
    ) -> None:
        """``real``: makes a message as a controller would send it now."""
        self._mutated_share = mutated_share
        self.rng = random.Random(seed)
        self.view = view
        self._real = real
        self._sent: deque[bytes] = deque(maxlen=64)

    def next(self) -> bytes:
        """The next message."""
        rng = self.rng
        message = self._real(rng, self.view)
        if rng.random() >= self._mutated_share:
            data = message.SerializeToString()
        elif self._sent and rng.random() < REPLAYED_SHARE:
            data = rng.choice(self._sent)
        else:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                mutate(rng, message)
            data = message.SerializeToString()
            if rng.random() < WIRE_SHARE:
                data = damage(rng, data, self._sent)
        self._sent.append(data)
        return data


def origin(rng: random.Random, view: View) -> lease_pb2.Origin:
    """Who decided: the leader, now and then one of the next epoch."""
    return lease_pb2.Origin(
        leader_epoch=_next(view.epoch) if rng.random() < 0.002 else view.epoch,
        agent_boot_id=view.boot_id,
        agent_monotonic_us=view.now_us - rng.randrange(2_000_000),
        controller_id="edge-1",
    )


def radio_message(rng: random.Random, view: View) -> ran_pb2.ControlRequest:
    """A message to a radio agent."""
    kind = rng.choices(("commands", "renewal", "wakes", "hello"), (60, 22, 12, 6))[0]
    if kind == "hello":
        hello = ran_pb2.Hello(leader_epoch=view.epoch, controller_id="edge-1", report_every_ms=5000)
        return ran_pb2.ControlRequest(hello=hello)
    if kind == "renewal":
        return ran_pb2.ControlRequest(renewal=renewal(rng, view))
    cells = rng.sample(range(view.n), rng.randint(1, view.n))
    revisions = [_next(view.revision[i]) for i in cells]
    reasons = [rng.randrange(20) for _ in cells]
    if kind == "wakes":
        wakes = ran_pb2.WakeBatch(origin=origin(rng, view), cell=cells, revision=revisions, reason=reasons)
        return ran_pb2.ControlRequest(wakes=wakes)
    batch = ran_pb2.CommandBatch(
        origin=origin(rng, view),
        plan_id=f"plan-{view.now_us}",
        idempotency_key=rng.randbytes(16),
        term_ms=TERM_MS,
        cell=cells,
        revision=revisions,
        level=[rng.choice(view.allowed[i]) for i in cells],
        expected_level=[view.level[i] for i in cells],
        reason=reasons,
    )
    return ran_pb2.ControlRequest(commands=batch)


def power_message(rng: random.Random, view: View) -> power_pb2.ControlRequest:
    """A message to a power agent."""
    kind = rng.choices(("commands", "renewal", "safe", "hello"), (60, 22, 12, 6))[0]
    if kind == "hello":
        hello = power_pb2.Hello(leader_epoch=view.epoch, controller_id="edge-1", report_every_ms=5000)
        return power_pb2.ControlRequest(hello=hello)
    if kind == "renewal":
        return power_pb2.ControlRequest(renewal=renewal(rng, view))
    sites = rng.sample(range(view.n), rng.randint(1, view.n))
    revisions = [_next(view.revision[i]) for i in sites]
    reasons = [rng.randrange(20) for _ in sites]
    if kind == "safe":
        safe = power_pb2.SafeBatch(origin=origin(rng, view), site=sites, revision=revisions, reason=reasons)
        return power_pb2.ControlRequest(safe=safe)
    batch = power_pb2.CommandBatch(
        origin=origin(rng, view),
        plan_id=f"plan-{view.now_us}",
        idempotency_key=rng.randbytes(16),
        term_ms=TERM_MS,
        site=sites,
        revision=revisions,
        battery_w=[rng.uniform(-view.power_max_w, view.power_max_w) for _ in sites],
        import_limit_w=[rng.uniform(0.0, view.power_max_w) for _ in sites],
        reason=reasons,
        programs=[_program(rng, rng.choice(sites))] if rng.random() < 0.1 else [],
    )
    return power_pb2.ControlRequest(commands=batch)


def _program(rng: random.Random, site: int) -> power_pb2.OnBatteryProgram:
    stages = [
        power_pb2.ProgramStage(after_s=0.0, below_ratio=1.0, radio_ratio=0.5, keeps_transport=True),
        power_pb2.ProgramStage(after_s=3600.0, below_ratio=0.3, radio_ratio=0.0, keeps_transport=True),
    ]
    return power_pb2.OnBatteryProgram(site=site, revision=rng.randrange(1, 1000), stages=stages, back_s=60.0)


def _next(number: int) -> int:
    return min(number + 1, LAST)


def renewal(rng: random.Random, view: View) -> lease_pb2.Renewal:
    """Extends what the agent holds."""
    planned_us = rng.choice((0, view.now_us - 1, view.now_us + 10**9, 2**64 - 1))
    return lease_pb2.Renewal(
        origin=origin(rng, view),
        active_digest=view.digest,
        term_ms=TERM_MS,
        plan_agent_monotonic_us=max(0, planned_us),
    )


def mutate(rng: random.Random, message: Message) -> None:
    """Change one field, wherever it is; the message stays valid wire format."""
    places = list(_fields(message))
    if not places:
        return
    parent, descriptor = rng.choice(places)
    name = descriptor.name
    if descriptor.is_repeated:
        _mutate_list(rng, getattr(parent, name), descriptor)
    elif descriptor.message_type is not None:
        parent.ClearField(name)
    else:
        setattr(parent, name, _other(rng, getattr(parent, name), descriptor))


def _fields(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    """Every field that is set, down to the deepest, and the scalars that could be."""
    for descriptor in message.DESCRIPTOR.fields:
        if descriptor.message_type is None:
            yield message, descriptor
        elif descriptor.is_repeated:
            yield message, descriptor
            for part in getattr(message, descriptor.name):
                yield from _fields(part)
        elif message.HasField(descriptor.name):
            yield message, descriptor
            yield from _fields(getattr(message, descriptor.name))


def _mutate_list(rng: random.Random, values: Any, descriptor: FieldDescriptor) -> None:
    """Change an entry or the length, now and then the order."""
    if descriptor.message_type is not None:
        if values and rng.random() < 0.5:
            values.append(rng.choice(values))
        else:
            values.add()
        return
    kind = rng.choices(("entry", "same", "shuffle", "drop", "add", "clear", "long"), (60, 12, 8, 8, 8, 3, 1))[
        0
    ]
    if kind == "long":
        values.extend([_other(rng, 0, descriptor)] * rng.choice((1000, 70_000)))
    elif kind == "add" or not values:
        values.append(_other(rng, 0, descriptor))
    elif kind == "entry":
        i = rng.randrange(len(values))
        values[i] = _other(rng, values[i], descriptor)
    elif kind == "same":
        values[rng.randrange(len(values))] = rng.choice(values)
    elif kind == "shuffle":
        values[:] = rng.sample(list(values), len(values))
    elif kind == "drop":
        del values[rng.randrange(len(values))]
    else:
        del values[:]


def _other(rng: random.Random, value: Any, descriptor: FieldDescriptor) -> Any:
    """Another value of a field's type: near the present one, or one at the edges of what is possible."""
    kind = descriptor.cpp_type
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return rng.choice((*FLOATS, -value, value * 1000, value / 1000, rng.uniform(-1e4, 1e4)))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return not value
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if descriptor.type == FieldDescriptor.TYPE_BYTES:
            return rng.choice((b"", rng.randbytes(16), value[:-1], value + b"\0", rng.randbytes(65)))
        return rng.choice((*TEXTS, value.upper(), "".join(rng.choices(string.printable, k=12))))
    near = [value + step for step in (-1000, -2, -1, 1, 1, 2, 1000, 60_000_000)]
    top = 2**32 - 1 if descriptor.type in UINT32 else 2**64 - 1
    return min(max(rng.choice((*INTEGERS, *near, *near, rng.randrange(8), rng.randrange(8))), 0), top)


def damage(rng: random.Random, data: bytes, sent: deque[bytes]) -> bytes:
    """Change the bytes of a message; protobuf still takes most of it."""
    kind = rng.randrange(5)
    if kind == 0:  # protobuf merges what stands one after another
        return data + (rng.choice(sent) if sent else data)
    if kind == 1:  # a field of a later version
        return data + b"\xfa\x7f\x03abc"
    if kind == 2:
        return data[: rng.randrange(len(data) + 1)]
    if kind == 3:
        return data + rng.randbytes(rng.randint(1, 40))
    changed = bytearray(data or b"\0")
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
