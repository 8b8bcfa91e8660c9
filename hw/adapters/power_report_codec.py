"""Inventories and reports of power agents between their wire format and arrays; see hw/adapters/radio_codec.py."""

from __future__ import annotations

import numpy as np
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2
from quietcell.telemetry.v1 import telemetry_pb2

from hw.adapters import wire
from hw.adapters.power import PowerInventory, PowerReport
from hw.adapters.wire import ContractError
from hw.ports import PowerAbilities

# Fields of SiteSamples and of PowerReport
_MEASURED = {
    "soc_ratio": "soc",
    "cell_v": "cell_v",
    "battery_a": "battery_a",
    "import_w": "import_w",
    "load_w": "load_w",
    "pv_w": "pv_w",
    "stored_wh": "stored_wh",
}
_LIMITS = ("charge_max_w", "discharge_max_w", "capacity_wh", "reserve_wh", "import_cap_w")


def inventory_to(inventory: PowerInventory) -> power_pb2.GetInventoryResponse:
    """The message of an inventory."""
    has = inventory.abilities
    sites = [
        power_pb2.Site(
            site_id=has.site_id[i],
            has_dead_man=bool(has.has_dead_man[i]),
            **{name: float(getattr(has, name)[i]) for name in _LIMITS},
        )
        for i in range(has.n_sites)
    ]
    return power_pb2.GetInventoryResponse(
        agent_id=inventory.agent_id,
        agent_boot_id=inventory.boot_id,
        sites=sites,
        longest_term_ms=inventory.longest_term_ms,
        longest_plan_ms=inventory.longest_plan_ms,
        highest_epoch=inventory.highest_epoch,
        is_simulated=has.is_simulated,
    )


def inventory_from(message: power_pb2.GetInventoryResponse) -> PowerInventory:
    """An inventory."""
    m = wire.checked_length(message.sites, "inventory.sites")
    site_id = tuple(wire.checked_text(s.site_id, "inventory.sites.site_id") for s in message.sites)
    if len(set(site_id)) < m:
        raise ContractError("inventory.sites.site_id: a name occurs twice")
    limits = {name: np.array([getattr(s, name) for s in message.sites], np.float64) for name in _LIMITS}
    for name, values in limits.items():
        if not (values >= 0).all():
            raise ContractError(f"inventory.sites.{name}: must not be negative or NaN")
    has_dead_man = np.array([s.has_dead_man for s in message.sites], np.bool_)
    return PowerInventory(
        wire.checked_text(message.agent_id, "inventory.agent_id"),
        wire.checked_key(message.agent_boot_id, "inventory.agent_boot_id", wire.BOOT_ID_BYTES),
        PowerAbilities(site_id, **limits, has_dead_man=has_dead_man, is_simulated=message.is_simulated),
        message.longest_term_ms,
        message.longest_plan_ms,
        message.highest_epoch,
    )


def report_to(report: PowerReport, stop: lease_pb2.StopLatch | None = None) -> power_pb2.Report:
    """The message of a report; ``stop`` tells more of the latch than a report keeps."""
    header = telemetry_pb2.ReportHeader(
        agent_id=report.agent_id,
        agent_boot_id=report.boot_id,
        agent_monotonic_us=report.monotonic_us,
        sequence=report.sequence,
        measured_unix_us=report.measured_unix_us,
    )
    samples = [
        telemetry_pb2.SiteSamples(
            interval_ms=report.interval_ms,
            mains_present=report.mains[:, s].tolist(),
            **{field: getattr(report, name)[:, s].tolist() for field, name in _MEASURED.items()},
        )
        for s in range(report.soc.shape[1])
    ]
    states = power_pb2.SiteStates(
        is_leased=report.is_leased.tolist(),
        battery_w=report.battery_w.tolist(),
        import_limit_w=report.import_limit_w.tolist(),
        revision=report.revision.tolist(),
        lease_left_ms=report.lease_left_ms.tolist(),
        local_control=report.local_control.tolist(),
        program_revision=report.program_revision.tolist(),
        program_stage=report.program_stage.tolist(),
        active_digest=report.active_digest,
        stop=stop or lease_pb2.StopLatch(is_set=report.is_stopped),
        highest_epoch=report.highest_epoch,
    )
    return power_pb2.Report(header=header, samples=samples, states=states)


def report_from(message: power_pb2.Report) -> PowerReport:
    """A report. All its samples must be of one interval."""
    header, states, samples = message.header, message.states, message.samples
    m = wire.checked_length(states.is_leased, "report.states.is_leased")
    wire.checked_length(samples, "report.samples", most=wire.MAX_SAMPLES)
    if len({sample.interval_ms for sample in samples}) > 1:
        raise ContractError("report.samples.interval_ms: must be one and the same in a report")
    measured = {name: np.empty((m, len(samples))) for name in _MEASURED.values()}
    mains = np.empty((m, len(samples)), np.bool_)
    for s, sample in enumerate(samples):
        for field, name in _MEASURED.items():
            measured[name][:, s] = wire.measured(getattr(sample, field), f"report.samples[{s}].{field}", m)
        wire.checked_length(sample.mains_present, f"report.samples[{s}].mains_present", m)
        mains[:, s] = sample.mains_present
    for name in ("local_control", "lease_left_ms", "program_stage"):
        wire.checked_length(getattr(states, name), f"report.states.{name}", m)
    return PowerReport(
        wire.checked_text(header.agent_id, "report.header.agent_id"),
        wire.checked_key(header.agent_boot_id, "report.header.agent_boot_id", wire.BOOT_ID_BYTES),
        header.agent_monotonic_us,
        header.sequence,
        header.measured_unix_us,
        samples[0].interval_ms if samples else 0,
        **measured,
        mains=mains,
        is_leased=np.array(states.is_leased, np.bool_),
        battery_w=wire.floats(states.battery_w, "report.states.battery_w", m),
        import_limit_w=np.array(states.import_limit_w, np.float64),
        revision=wire.revisions(states.revision, "report.states.revision", m),
        lease_left_ms=np.array(states.lease_left_ms, np.int64),
        local_control=np.array(states.local_control, np.bool_),
        program_revision=wire.revisions(states.program_revision, "report.states.program_revision", m),
        program_stage=np.array(states.program_stage, np.int64),
        active_digest=wire.checked_key(states.active_digest, "report.states.active_digest"),
        is_stopped=states.stop.is_set,
        highest_epoch=states.highest_epoch,
    )
