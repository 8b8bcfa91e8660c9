"""Reports of radio agents between their wire format and arrays; the other messages are in radio_codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from quietcell.lease.v1 import lease_pb2
from quietcell.ran.v1 import ran_pb2
from quietcell.telemetry.v1 import telemetry_pb2

from hw.adapters import wire
from hw.adapters.radio import Report
from hw.adapters.wire import ContractError
from hw.ports import Float32, not_measured


def header_to(report: Report) -> telemetry_pb2.ReportHeader:
    """The header of a report."""
    return telemetry_pb2.ReportHeader(
        agent_id=report.agent_id,
        agent_boot_id=report.boot_id,
        agent_monotonic_us=report.monotonic_us,
        sequence=report.sequence,
        measured_unix_us=report.measured_unix_us,
    )


def report_to(report: Report, stop: lease_pb2.StopLatch | None = None) -> ran_pb2.Report:
    """The message of a report; ``stop`` tells more of the latch than a report keeps."""
    samples = [
        telemetry_pb2.CellSamples(
            interval_ms=report.interval_ms,
            carried_ratio=report.carried[:, s].tolist(),
            user_throughput_mbit_s=_column_to(report.throughput, s),
            energy_wh=_column_to(report.energy_wh, s),
        )
        for s in range(report.carried.shape[1])
    ]
    states = ran_pb2.CellStates(
        level=report.level.tolist(),
        commanded_level=report.commanded_level.tolist(),
        revision=report.revision.tolist(),
        lease_left_ms=report.lease_left_ms.tolist(),
        local_control=report.local_control.tolist(),
        active_digest=report.active_digest,
        stop=stop or lease_pb2.StopLatch(is_set=report.is_stopped),
        highest_epoch=report.highest_epoch,
    )
    return ran_pb2.Report(header=header_to(report), samples=samples, states=states)


def _column_to(values: Float32, s: int) -> list[float]:
    """One sample of a quantity that need not be measured; empty where it is not, in any cell."""
    if not values.size or np.isnan(values[:, s]).all():
        return []
    column: list[float] = values[:, s].tolist()
    return column


def _columns_from(samples: Sequence[telemetry_pb2.CellSamples], name: str, n: int) -> Float32:
    """All samples of such a quantity. (n, s), or (0, 0) where none is measured"""
    lists = [getattr(sample, name) for sample in samples]
    if not any(len(values) for values in lists):
        return not_measured()
    found = np.full((n, len(samples)), np.nan, np.float32)
    for s, values in enumerate(lists):
        if len(values):
            found[:, s] = wire.measured(values, f"report.samples[{s}].{name}", n)
    return found


def report_from(message: ran_pb2.Report) -> Report:
    """A report. All its samples must be of one interval."""
    header, states = message.header, message.states
    n = wire.checked_length(states.level, "report.states.level")
    wire.checked_length(message.samples, "report.samples", most=wire.MAX_SAMPLES)
    if len({sample.interval_ms for sample in message.samples}) > 1:
        raise ContractError("report.samples.interval_ms: must be one and the same in a report")
    carried = np.empty((n, len(message.samples)), np.float32)
    for s, sample in enumerate(message.samples):
        carried[:, s] = wire.measured(sample.carried_ratio, f"report.samples[{s}].carried_ratio", n)
    wire.checked_length(states.lease_left_ms, "report.states.lease_left_ms", n)
    wire.checked_length(states.local_control, "report.states.local_control", n)
    return Report(
        wire.checked_text(header.agent_id, "report.header.agent_id"),
        wire.checked_key(header.agent_boot_id, "report.header.agent_boot_id", wire.BOOT_ID_BYTES),
        header.agent_monotonic_us,
        header.sequence,
        header.measured_unix_us,
        message.samples[0].interval_ms if message.samples else 0,
        carried,
        wire.bytes_of(states.level, "report.states.level", n),
        wire.bytes_of(states.commanded_level, "report.states.commanded_level", n),
        wire.revisions(states.revision, "report.states.revision", n),
        np.array(states.lease_left_ms, np.int64),
        np.array(states.local_control, np.bool_),
        wire.checked_key(states.active_digest, "report.states.active_digest"),
        states.stop.is_set,
        states.highest_epoch,
        _columns_from(message.samples, "user_throughput_mbit_s", n),
        _columns_from(message.samples, "energy_wh", n),
    )
