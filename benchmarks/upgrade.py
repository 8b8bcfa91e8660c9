"""Whether an upgrade and the way back keep every decision: an older state of the sources, this one, the older again.

    .venv/bin/python -m benchmarks.upgrade [--from REVISION] [--hours 1]

Each part runs a small lab (plant, agents and controller as processes over mutual TLS) on the same folder: the journal
and what the agents keep on disk pass from one version to the next, as on a host that is upgraded; simulated time goes
on. If the newer journal has a schema that the older version refuses, the copy that the upgrade made is put back, as
docs/operations/install.md says. After each part ``quietcell journal check`` of that part's own version must pass, and
no decision that any part made may be missing or changed in what is kept.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from benchmarks.rows import print_row

ROOT = Path(__file__).resolve().parents[1]
CELLS, AGENTS, SPEED = 180, 3, 120.0
DECISIONS = """SELECT e.batch, e.position, e.kind, e.unix_us, c.cell, c.revision, c.level, c.expected_level, c.reason
    FROM entry e JOIN command c ON c.command >= e.first_command AND c.command < e.first_command + e.commands
    ORDER BY e.batch, e.position, c.command"""
# Runs in the sources of its part: what a version calls its own is not called from another one.
PART = """
import asyncio, dataclasses, json, sys, time
from pathlib import Path
from unittest.mock import patch
import yaml
from controller.sim import lab as labs
asked = json.loads(sys.argv[1])
folder = Path(asked["folder"])
known = dict(folder=folder, n_cells=asked["cells"], n_agents=asked["agents"], speed=asked["speed"],
             policy="predictive", seed=0, stage="act")
plan = labs.LabPlan(**{field.name: known[field.name] for field in dataclasses.fields(labs.LabPlan)})
kept = folder / "lab.json"
if not kept.exists():
    lab = labs.prepare(plan, print)
    kept.write_text(json.dumps([lab.ports, lab.start_us]))
ports, start_us = json.loads(kept.read_text())
began_s = time.time() - asked["since_h"] * 3600 / plan.speed
with patch.object(labs.time, "time", lambda: began_s):
    asyncio.run(labs.run_lab(labs.Lab(plan, tuple(ports), start_us), asked["hours"], print))
"""


def sources(revision: str, folder: Path) -> Path:
    """The sources of a revision, unpacked."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the sources of a version."""
    path = os.pathsep.join((str(tree), str(tree / "proto")))
    cache = {"NUMBA_CACHE_DIR": str(tree / ".numba")} if tree != ROOT else {}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": path} | cache,
        capture_output=True,
        text=True,
        check=False,
    )


def quietcell(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of a version."""
    return run(tree, "-c", "from controller.cli import main; main()", *arguments)


def decisions(journal: Path) -> set[tuple[int, ...]]:
    """Every command that a journal holds, with its place and time."""
    db = sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return set(db.execute(DECISIONS))
    finally:
        db.close()


def one_part(tree: Path, folder: Path, since_h: float, hours: float) -> None:
    """Run a version for some simulated hours, and let it check what it leaves. Ends the script where it cannot."""
    asked = {
        **{"folder": str(folder), "cells": CELLS, "agents": AGENTS, "speed": SPEED},
        **{"since_h": since_h, "hours": hours},
    }
    done = run(tree, "-c", PART, json.dumps(asked))
    if done.returncode:
        sys.exit(f"the lab of {tree} failed:\n{done.stdout}\n{done.stderr}")
    checked = quietcell(tree, "journal", "check", str(folder / "journal.db"))
    if checked.returncode:
        sys.exit(f"the check of {tree} failed:\n{checked.stdout}\n{checked.stderr}")


def go_back(older: Path, journal: Path, aside: Path) -> bool:
    """Whether the older version needs the copy of before the upgrade, which then takes the journal's place."""
    if quietcell(older, "journal", "show", str(journal)).returncode == 0:
        return False
    (copy,) = journal.parent.glob(f"{journal.name}.version-*")
    for part in journal.parent.glob(f"{journal.name}*"):
        if part != copy:
            shutil.move(part, aside / part.name)
    copy.rename(journal)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="older", default="HEAD~1", help="revision to come from and go back to")
    parser.add_argument("--hours", type=float, default=1.0, help="simulated hours of each part")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        top = Path(made)
        older = sources(asked.older, top / "older")
        folder, aside = top / "lab", top / "aside"
        aside.mkdir()
        print(f"compiling the kernels of {asked.older}", file=sys.stderr)
        quietcell(older, "warm-up")
        journal = folder / "journal.db"
        made_so_far: set[tuple[int, ...]] = set()
        lost, counts, restored = 0, [], False
        for number, tree in enumerate((older, ROOT, older)):
            if number == 2:
                restored = go_back(older, journal, aside)
            began_s = time.monotonic()
            one_part(tree, folder, number * asked.hours, asked.hours)
            print(f"part {number + 1} of 3: {time.monotonic() - began_s:.0f} s", file=sys.stderr)
            kept = decisions(journal)
            if restored:
                kept |= decisions(aside / journal.name)
            lost += len(made_so_far - kept)
            counts.append(len(kept - made_so_far))
            made_so_far |= kept
        way = "the copy of before the upgrade was put back" if restored else "the same journal went on"
        text = f"{asked.older} to this and back, {asked.hours:g} h each, {CELLS} cells; {counts} decisions; {way}"
        print_row("upgrade_decisions", sum(counts), "decisions", text)
        print_row("upgrade_decisions_lost", lost, "decisions", text, bar=("<=", 0))
    if lost or not all(counts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
