"""What a report rests on, in plain sentences by subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.report.words import (
    Report,
    applicable,
    level_label,
    level_meaning,
    levels_used,
    number,
    percent,
    small_share,
    step_text,
)


def assumptions(report: Report) -> list[tuple[str, list[str]]]:
    """(subject, sentences) in the order in which the page prints them."""
    subjects = {
        "This run": iter(report.get("assumptions", [])),
        "Network": _network(report),
        "Traffic inside a step": _path(report),
        "Power": _power(report),
        "Service": _service(report),
        "Levels": _levels(report),
    }
    told = ((subject, list(sentences)) for subject, sentences in subjects.items())
    return [(subject, sentences) for subject, sentences in told if sentences]


def _parameter(report: Report, *path: str) -> Any:
    """A parameter of the world, or None where this world has no such parameter."""
    value: Any = report.get("world_parameters", {})
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _network(report: Report) -> Iterator[str]:
    trace = report["trace"]
    days = trace["n_steps"] * trace["step_s"] / 86400
    yield f"{trace['n_cells']:,} cells over {days:.4g} days, in steps of {step_text(trace['step_s'])}."
    yield (
        f"{percent(trace['missing_share'])} of the cell-steps were not recorded. They run awake and are left "
        "out of energy, traffic and shares, for all policies alike."
    )
    yield f"{percent(trace['scored_share'])} of cell-time is scored."
    yield from report.get("notes", [])
    for reason, count in report.get("quarantine", {}).items():
        yield f"Set aside by the reader: {count:,} × {reason}."  # noqa: RUF001


def _path(report: Report) -> Iterator[str]:
    sigma = _parameter(report, "traffic_path", "sigma")
    correlation_s = _parameter(report, "traffic_path", "correlation_s")
    plan_s = _parameter(report, "plan_interval_s")
    noise = "log-normal noise"
    if sigma is not None and correlation_s is not None:
        noise += f" of sigma {sigma:g} and a correlation time of {step_text(correlation_s)}"
    yield (
        f"The recorded value of a step is the mean of a path drawn inside it (seed {report['seed']}): "
        f"straight lines between the middles of the steps, times {noise}, "
        "scaled so that each step keeps its mean."
    )
    yield "This path is an assumption. The curve of savings against service shows how results move with it."
    planning = "" if plan_s is None else f"Planning runs every {step_text(plan_s)}. "
    yield f"{planning}A policy knows what was measured before it decides; only the oracle knows more."


def _power(report: Report) -> Iterator[str]:
    world, ran = report["world"], applicable(report)
    if _parameter(report, "model") == "3gpp":
        yield (
            f"World {world}: every cell is the reference radio of 3GPP TR 38.864. Its power is relative to "
            "deep sleep, so only ratios of energy mean something."
        )
    elif world.startswith("calibrated"):
        yield (
            f"World {world}: power is fitted to measured energy. A level exists for a product only where the "
            "data show it, and none means without these levels."
        )
    else:
        yield f"World {world}."
    yield from _pulled(report)
    rate, uplink = _parameter(report, "full_rate_mbit_s"), _parameter(report, "ul_per_dl")
    if _parameter(report, "products") is not None:
        yield (
            f"The largest cells carry {number(rate)} Mbit/s when full, each product its own bandwidth times its "
            "spectral efficiency; offered traffic is the recorded load times that."
        )
    elif rate is not None:
        yield f"A full cell carries {number(rate)} Mbit/s; offered traffic is the recorded load times that."
    if uplink is not None:
        yield f"Uplink load is {uplink:g} of downlink load where it is not recorded."
    if not any(policy.get("energy_kwh") is not None for policy in ran.values()):
        yield "Watts are not known in this world, so there is no kWh, money or CO2."


def _pulled(report: Report) -> Iterator[str]:
    """Levers on top of symbol shutdown."""
    levers = _parameter(report, "levers")
    if levers is None:
        return
    if levers["light_sleep"]:
        gap_ms, shortest_ms = levers["longest_gap_ms"], levers["shortest_light_sleep_ms"]
        if shortest_ms > gap_ms:
            yield f"Light sleep finds no gap: it needs {shortest_ms:g} ms, the longest on air is {gap_ms:g} ms."
        else:
            yield f"Gaps on air of {shortest_ms:g} ms and more are spent in light sleep, for which data waits."
    if levers["filling"]:
        yield (
            f"Small transmissions wait for up to {levers['latency_budget_ms']:g} ms until they fill symbols, "
            "which the added latency of this report leaves out."
        )
    yield (
        "Both follow a closed form calibrated on one carrier up to a load of "
        f"{percent(levers['calibrated_to_load'])}; none and symbol are without."
    )


def _service(report: Report) -> Iterator[str]:
    limits = report["limits"]
    of_none, of_cell = _parameter(report, "service", "target_share_of_none"), limits["cells_over_limit_share"]
    relief = "" if of_none is None else f", or below {of_none:g} of that under none where that is less"
    yield "All limits are on what a policy adds to none."
    yield f"At most {small_share(limits['unserved_share'])} of the traffic may go unserved."
    yield (
        f"At most {small_share(limits['below_target_share'])} of the traffic may fall in minutes whose user "
        f"throughput is below {limits['target_mbit_s']:g} Mbit/s{relief}."
    )
    yield f"At most {small_share(of_cell)} of the cells may exceed their own limit on such traffic."


def _levels(report: Report) -> Iterator[str]:
    ran = applicable(report)
    for name in levels_used(report):
        wake_s = _parameter(report, name, "wake_s")
        wake = "" if wake_s is None else f"; wakes in {step_text(wake_s)}"
        yield f"{level_label(name)}: {level_meaning(name)}{wake}."
    loss_db = _parameter(report, "rf_channel", "loss_db_per_halving")
    if loss_db is not None:
        yield f"Each halving of the RF channels costs {loss_db:g} dB of SINR."
    guarded = [name for name, policy in ran.items() if policy.get("guard")]
    if guarded:
        yield f"A guard may wake a cell in any minute under: {', '.join(guarded)}."
    else:
        yield "No guard ran: a cell keeps its planned level until the next plan."
