"""Messages of plant.proto and what they mean in arrays, both ways. What cannot be meant is a PlantError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from quietcell.plant.v1 import plant_pb2 as pb

from hw.ports import (
    Bools,
    Float32,
    Int64,
    PowerAbilities,
    PowerReading,
    PowerSetting,
    RadioAbilities,
    RadioReading,
    RadioSetting,
)
from hw.sim_plant.errors import PlantError
from hw.sim_plant.faults import Fault

MEASURED = {  # field of a message -> of a reading
    "soc_ratio": "soc",
    "cell_v": "cell_v",
    "battery_a": "battery_a",
    "import_w": "import_w",
    "load_w": "load_w",
    "pv_w": "pv_w",
    "stored_wh": "stored_wh",
    "mains_present": "mains",
}
PER_SITE = ("charge_max_w", "discharge_max_w", "capacity_wh", "reserve_wh", "import_cap_w", "has_dead_man")


def abilities_to_message(found: RadioAbilities) -> pb.DescribeRadioResponse:
    """Radios of an agent as a message."""
    return pb.DescribeRadioResponse(
        levels=[
            pb.RadioLevel(name=name, wake_ms=int(wake_ms), is_off_air=bool(off_air))
            for name, wake_ms, off_air in zip(found.level_names, found.wake_ms, found.off_air, strict=True)
        ],
        full_service_level=found.full_service_level,
        cells=[
            pb.RadioCell(
                cell_id=found.cell_id[i],
                site_id=found.site_id[i],
                product=found.product[i],
                is_capacity=bool(found.is_capacity[i]),
                level=np.flatnonzero(found.allowed[i]).tolist(),
                has_dead_man=bool(found.has_dead_man[i]),
            )
            for i in range(found.n_cells)
        ],
    )


def abilities_of_message(told: pb.DescribeRadioResponse) -> RadioAbilities:
    """Radios of an agent from a message."""
    allowed = np.zeros((len(told.cells), len(told.levels)), np.bool_)
    for i, cell in enumerate(told.cells):
        allowed[i, list(cell.level)] = True
    return RadioAbilities(
        cell_id=tuple(cell.cell_id for cell in told.cells),
        site_id=tuple(cell.site_id for cell in told.cells),
        product=tuple(cell.product for cell in told.cells),
        is_capacity=np.array([cell.is_capacity for cell in told.cells], np.bool_),
        level_names=tuple(level.name for level in told.levels),
        wake_ms=np.array([level.wake_ms for level in told.levels], np.int64),
        off_air=np.array([level.is_off_air for level in told.levels], np.bool_),
        allowed=allowed,
        has_dead_man=np.array([cell.has_dead_man for cell in told.cells], np.bool_),
        full_service_level=told.full_service_level,
        is_simulated=True,
    )


def radio_setting_of_message(told: pb.ApplyRadioRequest) -> RadioSetting:
    """Levels from a message."""
    _same_length(told, ("cell", "level", "until_us", "extends"))
    if any(level > 255 for level in told.level):
        raise PlantError("level must be below 256")
    return RadioSetting(
        _places(told.cell),
        np.array(told.level, np.uint8),
        _times(told.until_us),
        np.array(told.extends, np.bool_),
    )


def radio_setting_to_message(agent_id: str, wanted: RadioSetting, number: int) -> pb.ApplyRadioRequest:
    """Levels as a message."""
    lists: dict[str, Any] = {field.name: getattr(wanted, field.name).tolist() for field in fields(wanted)}
    return pb.ApplyRadioRequest(agent_id=agent_id, number=number, **lists)


def radio_reading_to_message(found: RadioReading) -> pb.ReadRadioResponse:
    """State of radios as a message."""
    first = found.last_sample - found.carried.shape[1] + 1
    return pb.ReadRadioResponse(
        level=found.level.tolist(),
        local_control=found.local_control.tolist(),
        samples=[
            pb.RadioSample(
                sample=first + k,
                end_unix_us=int(found.end_unix_us[k]),
                interval_ms=found.interval_ms,
                carried_ratio=found.carried[:, k].tolist(),
                user_throughput_mbit_s=found.throughput[:, k].tolist() if found.throughput.size else (),
                energy_wh=found.energy_wh[:, k].tolist() if found.energy_wh.size else (),
            )
            for k in range(found.carried.shape[1])
        ],
    )


def radio_reading_of_message(told: pb.ReadRadioResponse, after_sample: int) -> RadioReading:
    """State of radios from the answer to a request for what is ``after_sample``."""
    samples = told.samples
    n = len(told.level)
    return RadioReading(
        level=np.array(told.level, np.uint8),
        local_control=np.array(told.local_control, np.bool_),
        last_sample=_last(samples, after_sample),
        end_unix_us=np.array([sample.end_unix_us for sample in samples], np.int64),
        interval_ms=samples[0].interval_ms if samples else 0,
        carried=_columns([sample.carried_ratio for sample in samples], n),
        throughput=_columns([sample.user_throughput_mbit_s for sample in samples], n),
        energy_wh=_columns([sample.energy_wh for sample in samples], n),
    )


def _columns(lists: Sequence[Sequence[float]], n: int) -> Float32:
    """Samples side by side. (n, s), or (0, s) from a plant that does not measure this"""
    if not lists:
        return np.empty((n, 0), np.float32)
    return np.stack([np.array(values, np.float32) for values in lists], axis=1)


def sites_to_message(found: PowerAbilities) -> pb.DescribePowerResponse:
    """Sites of an agent as a message."""
    return pb.DescribePowerResponse(
        sites=[
            pb.PowerSite(site_id=name, **{field: getattr(found, field)[i].item() for field in PER_SITE})
            for i, name in enumerate(found.site_id)
        ]
    )


def sites_of_message(told: pb.DescribePowerResponse) -> PowerAbilities:
    """Sites of an agent from a message."""
    arrays: dict[str, Any] = {
        field: np.array([getattr(site, field) for site in told.sites], np.float64) for field in PER_SITE
    }
    arrays["has_dead_man"] = arrays["has_dead_man"].astype(np.bool_)
    return PowerAbilities(site_id=tuple(site.site_id for site in told.sites), **arrays, is_simulated=True)


def power_setting_of_message(told: pb.ApplyPowerRequest) -> PowerSetting:
    """Setpoints from a message."""
    _same_length(told, [field.name for field in fields(PowerSetting)])
    return PowerSetting(
        site=_places(told.site),
        battery_w=np.array(told.battery_w, np.float64),
        import_limit_w=np.array(told.import_limit_w, np.float64),
        until_us=_times(told.until_us),
        is_safe=np.array(told.is_safe, np.bool_),
        extends=np.array(told.extends, np.bool_),
        radio_ratio=np.array(told.radio_ratio, np.float64),
        keeps_transport=np.array(told.keeps_transport, np.bool_),
    )


def power_setting_to_message(agent_id: str, wanted: PowerSetting, number: int) -> pb.ApplyPowerRequest:
    """Setpoints as a message."""
    lists: dict[str, Any] = {field.name: getattr(wanted, field.name).tolist() for field in fields(wanted)}
    return pb.ApplyPowerRequest(agent_id=agent_id, number=number, **lists)


def done_of_message(told: pb.ApplyRadioResponse | pb.ApplyPowerResponse) -> Bools:
    """Which commands hold."""
    return np.array(told.done, np.bool_)


def power_reading_to_message(found: PowerReading) -> pb.ReadPowerResponse:
    """State of sites as a message."""
    s = found.soc.shape[1]
    return pb.ReadPowerResponse(
        is_safe=found.is_safe.tolist(),
        battery_w=found.battery_w.tolist(),
        local_control=found.local_control.tolist(),
        samples=[
            pb.PowerSample(
                sample=found.last_sample - s + 1 + k,
                end_unix_us=int(found.end_unix_us[k]),
                interval_ms=found.interval_ms,
                **{field: getattr(found, name)[:, k].tolist() for field, name in MEASURED.items()},
            )
            for k in range(s)
        ],
    )


def power_reading_of_message(told: pb.ReadPowerResponse, after_sample: int) -> PowerReading:
    """State of sites from the answer to a request for what is ``after_sample``."""
    samples, m = told.samples, len(told.is_safe)
    measured: dict[str, Any] = {
        name: np.array([getattr(x, field) for x in samples], np.float64).reshape(len(samples), m).T
        for field, name in MEASURED.items()
    }
    return PowerReading(
        is_safe=np.array(told.is_safe, np.bool_),
        battery_w=np.array(told.battery_w, np.float64),
        local_control=np.array(told.local_control, np.bool_),
        last_sample=_last(samples, after_sample),
        end_unix_us=np.array([sample.end_unix_us for sample in samples], np.int64),
        interval_ms=samples[0].interval_ms if samples else 0,
        **(measured | {"mains": measured["mains"].astype(np.bool_)}),
    )


def fault_of_message(told: pb.InjectFaultRequest) -> Fault:
    """The fault of a message."""
    if int(told.fault) not in set(Fault):
        raise PlantError(f"fault {told.fault} is not known; use 1 .. {max(Fault)}")
    return Fault(told.fault)


def _same_length(told: Any, names: Sequence[str]) -> None:
    lengths = {name: len(getattr(told, name)) for name in names}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise PlantError(f"all lists must have one entry a command; they have: {shown}")


def _places(told: Sequence[int]) -> Int64:
    return np.array(told, np.int64)


def _times(told: Sequence[int]) -> Int64:
    if any(time_us >= 2**63 for time_us in told):
        raise PlantError("until_us must be below 2**63")
    return np.array(told, np.int64)


def _last(samples: Sequence[Any], after_sample: int) -> int:
    return int(samples[-1].sample) if samples else after_sample
