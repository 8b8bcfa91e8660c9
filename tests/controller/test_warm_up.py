"""After the warm-up nothing is left to compile: a replay, site power, an explanation and a start find all ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.start_up import measure_start_up

JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
pytestmark = pytest.mark.skipif(JIT_OFF, reason="without the JIT nothing is compiled")

WARM = """
from controller.warm_up import kernels, warm_up
parts = list(warm_up(lambda name, share: None))
known = {name: set(kernel.signatures) for name, kernel in kernels().items()}
"""
NEW = """
new = {
    name: [str(one) for one in kernel.signatures if one not in known.get(name, set())]
    for name, kernel in kernels().items()
}
print(json.dumps([{name: more for name, more in new.items() if more}, len(known)]))
"""
REPLAYED = """
import json
import numpy as np
from controller.config import load_profile
from controller.explain.rerun import rerun
from controller.replay.report import Replay, order_policies
from controller.replay.stage import Task, quiet
from controller.worlds import load_world, world_for
from traces.synthesis import SynthSpec, generate

many = generate(SynthSpec(n_sites=2, sectors=2, layers=3, days=1, seed=4, logged_share=1.0, missing_share=0.02))
hourly = generate(SynthSpec(n_sites=6, sectors=1, layers=1, days=2, seed=1, step_s=3600, logged_share=0.6,
                            site_energy=True))
for trace, world, guard in (
    (many, load_world("3gpp-cat1-set1"), False),
    (many, load_world("earth-macro"), True),
    (hourly, world_for("calibrated", hourly), True),
):
    task = Task(trace, world, load_profile(None), guard=guard)
    made = Replay(task, order_policies(None, with_analysis=True))
    made.run(quiet, with_page=True, with_curve=True)
    made.page()
    rerun("predictive", task, 0, 5, quiet)
"""
SAMPLE = """
import json
from typer.testing import CliRunner
from controller.cli import app
arguments = ("replay", "--world", "earth-macro", "--policy", "symbol", "--site", "sample")
done = CliRunner().invoke(app, arguments)
assert done.exit_code == 0, done.output
"""
SITES = """
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from controller.site.building import build_scene, prepare
from controller.site.comparison import Comparison
from tests.controller.site.site_made import DEFAULTS, HEAD, grid, radio, write

EVENT = '''schema: quietcell.grid-events/1
source: made up
events:
- {name: evening, kind: limit_to, amount_w: 1500, penalty_per_kwh: 2.0, announced: "2025-03-04T00:00:00Z",
   begin: "2025-03-04T08:00:00Z", end: "2025-03-04T10:00:00Z"}
'''
PROGRAM = '''  on_battery_program: {acknowledged: true, reaction_s: 60.0, stages: [{after_s: 0.0, radio_ratio: 0.6}]}
'''
OTHERS = HEAD.replace("-demand", "") + '''grid_events: events.yaml
outages: {drawn_with_seed: 1}
'''
with TemporaryDirectory() as folder:
    (Path(folder) / "events.yaml").write_text(EVENT)
    for sites, text in ((("east",), HEAD + DEFAULTS), (("east", "west", "north"), OTHERS + DEFAULTS + PROGRAM)):
        own = grid(3, sites)
        Comparison(build_scene(prepare(write(Path(folder), text), own), radio(own))).run()
"""
STARTED = """
import json
from controller.start_up import start
start(30)
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    "later", [REPLAYED, SAMPLE, SITES, STARTED], ids=["replayed", "sample sites", "other sites", "started"]
)
def test_nothing_is_compiled_after_the_warm_up(later: str) -> None:
    done = run(WARM + later + NEW)
    assert done.returncode == 0, done.stderr
    new, n_known = json.loads(done.stdout.splitlines()[-1])
    assert new == {}
    assert n_known > 30


def test_a_second_run_finds_every_kernel() -> None:
    """The test above, or this one's own first run, has filled the cache."""
    run(WARM)
    command = "from controller.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "warm-up", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "quietcell.warm-up/1"
    assert document["compiled"] == 0, document["parts"]
    assert document["loaded"] > 15, "a kernel inside a cached one is not loaded of its own"
    assert document["start_up_s"] > 0
    assert Path(document["cache"]).is_dir()
    assert [part["name"] for part in document["parts"]][:2] == ["imports", "traffic"]


def test_without_a_place_to_write_it_says_what_to_set() -> None:
    """Neither beside the sources nor in the user's cache folder may be written."""
    done = run(
        "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"
        "import sys; sys.argv = ['quietcell', 'warm-up']\n"
        "from controller.cli import main; main()"
    )
    assert done.returncode == 2, done.stderr
    assert "error: numba finds no folder for compiled kernels" in done.stderr
    assert "set NUMBA_CACHE_DIR to a folder" in done.stderr


def test_a_start_that_fails_is_not_taken_for_ready() -> None:
    with pytest.raises(RuntimeError, match="before it was ready"):
        measure_start_up(-1)
