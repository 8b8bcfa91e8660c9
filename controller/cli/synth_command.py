"""``quietcell traces synth``: make a synthetic network and write it as a tidy trace."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import ValidationError

from controller.cli.console import progress_bar
from traces.synthesis import SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

OPTION_OF_FIELD = {
    "n_sites": "--sites",
    "neighbour_overlap": "--overlap",
    "growth_per_week": "--growth",
    "missing_share": "--missing",
    "outages_per_site_week": "--outages",
    "events_per_site_week": "--events",
    "median_load": "--load",
    "logged_share": "--logged",
}


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to create. It becomes a trace in the tidy layout.")],
    sites: Annotated[int, typer.Option(help="Base stations.")] = 10,
    days: Annotated[int, typer.Option(help="Days, from local midnight.")] = 7,
    layers: Annotated[
        int,
        typer.Option(
            help="Carriers per sector, 1 to 3. The first covers; the others add capacity and may sleep."
        ),
    ] = 3,
    low_band: Annotated[
        bool,
        typer.Option(
            "--low-band", help="700 MHz covers, 2.6 and 3.5 GHz add capacity; replay it in world three-layer."
        ),
    ] = False,
    sectors: Annotated[int, typer.Option(help="Sectors per site, 1 to 6.")] = 3,
    step_s: Annotated[int, typer.Option(help="Step in s; it divides an hour: 300, 900, 3600.")] = 900,
    seed: Annotated[int, typer.Option(help="Same seed and options, same network.")] = 0,
    start: Annotated[str, typer.Option(help="First local day, YYYY-MM-DD.")] = "2025-03-03",
    time_zone: Annotated[str, typer.Option(help="IANA name of the local time.")] = "Asia/Shanghai",
    load: Annotated[float, typer.Option(help="Mean PRB utilisation of the median sector, 0..1.")] = 0.2,
    growth: Annotated[float, typer.Option(help="Growth of traffic per week; 0.01 is 1 %.")] = 0.0,
    overlap: Annotated[
        float, typer.Option(help="Share of capacity cells that also overlap a cell of the next site, 0..1.")
    ] = 0.0,
    events: Annotated[float, typer.Option(help="Evening events per site and week.")] = 0.0,
    outages: Annotated[float, typer.Option(help="Outages per site and week; half leave no record.")] = 0.0,
    missing: Annotated[float, typer.Option(help="Share of cell-steps lost in collection, 0..0.5.")] = 0.0,
    logged: Annotated[
        float, typer.Option(help="Share of sites whose operator logged symbol and carrier shutdown, 0..1.")
    ] = 0.0,
    site_energy: Annotated[bool, typer.Option(help="Add measured energy per site, in Wh.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Make a synthetic network: sites, sectors and layers with daily and weekly traffic, from one seed.

    Six area types differ in their day: business, residential, transport, entertainment, rural, campus. With
    two or three layers each sector has a coverage cell that can stand in for its capacity cells; with one
    layer only symbols and channels may rest. Events, outages and gaps can be added.

    Example: quietcell traces synth city --sites 100 --layers 2 --days 14 --missing 0.01
    """
    given = {
        "n_sites": sites,
        "days": days,
        "layers": layers,
        "low_band": low_band,
        "sectors": sectors,
        "step_s": step_s,
        "seed": seed,
        "start": start,
        "time_zone": time_zone,
        "median_load": load,
        "growth_per_week": growth,
        "neighbour_overlap": overlap,
        "events_per_site_week": events,
        "outages_per_site_week": outages,
        "missing_share": missing,
        "logged_share": logged,
        "site_energy": site_energy,
    }
    spec = _spec(given)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} exists and is not an empty folder; name a new one", param_hint="OUT")
    begin = time.monotonic()
    trace = _generate_with_progress(spec)
    write_tidy(trace, out)
    summary = _summary(spec, trace, out, time.monotonic() - begin)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        _print_summary(summary)


def _spec(given: dict[str, Any]) -> SynthSpec:
    """The validated description; a wrong option ends the command with its name and the reason."""
    try:
        return SynthSpec.model_validate({**given, "start": dt.date.fromisoformat(given["start"])})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        option = OPTION_OF_FIELD.get(field, "--" + field.replace("_", "-"))
        reason = first["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{reason} (got {first['input']!r})", param_hint=option) from error
    except ValueError as error:
        raise typer.BadParameter(
            f"{given['start']!r} is no day like 2025-03-03", param_hint="--start"
        ) from error


def _generate_with_progress(spec: SynthSpec) -> Trace:
    """Generate, with a bar on standard error for longer work."""
    with progress_bar("sites") as tell:
        return generate(spec, lambda done: tell(done / spec.n_sites))


def _summary(spec: SynthSpec, trace: Trace, out: Path, wall_s: float) -> dict[str, Any]:
    areas, counts = np.unique(trace.cells.area_type, return_counts=True)
    return {
        "path": str(out),
        "seed": spec.seed,
        "n_sites": spec.n_sites,
        "n_cells": trace.n_cells,
        "n_capacity_cells": int(trace.cells.is_capacity.sum()),
        "n_steps": trace.n_steps,
        "step_s": trace.step_s,
        "start_utc": f"{trace.start}Z",
        "time_zone": trace.time_zone,
        "mean_dl_prb_ratio": round(float(np.nanmean(trace.dl_prb_ratio, dtype=np.float64)), 4),
        "missing_share": round(trace.missing_share, 4),
        "cells_by_area_type": {str(a): int(c) for a, c in zip(areas, counts, strict=True)},
        "size_bytes": sum(f.stat().st_size for f in out.rglob("*") if f.is_file()),
        "wall_s": round(wall_s, 2),
    }


def _print_summary(summary: dict[str, Any]) -> None:
    typer.echo(
        f"{summary['path']}: {summary['n_cells']} cells at {summary['n_sites']} sites, "
        f"{summary['n_steps']} steps of {summary['step_s']} s from {summary['start_utc']} "
        f"({summary['time_zone']}), {summary['size_bytes'] / 1e6:.1f} MB"
    )
    typer.echo(
        f"capacity cells {summary['n_capacity_cells']}, mean downlink PRB utilisation "
        f"{summary['mean_dl_prb_ratio']:.1%}, missing {summary['missing_share']:.2%}"
    )
    typer.echo(", ".join(f"{area} {count}" for area, count in summary["cells_by_area_type"].items()))
    typer.echo(f"Next: quietcell traces inspect {summary['path']}")
