"""``quietcell plant``: the trace is the truth, faults come and go at run time, the process ends when told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.errors import ConfigError
from controller.replay.scene import make_scene
from controller.sim.assign import assign_evenly
from controller.sim.building import build_plant
from controller.sim.plant_process import serve_plant
from controller.worlds import EvaluatedWorld, load_world
from hw.ports import HostClock, RadioSetting
from hw.sim_plant.link import RadioPlantLink
from hw.sim_plant.radio import FULL_SERVICE
from tests.controller.site.site_made import DEFAULTS, HEAD
from traces import Trace
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy

SPEED = 1200
SAMPLE_US = 60_000_000
MAIN = "import sys; from controller.cli import main; main()"


class HandClock:
    """A clock set by the test."""

    def __init__(self, start_us: int) -> None:
        self.passed_us, self._start_us = 0, start_us

    def monotonic_us(self) -> int:
        return 5_000_000_000 + self.passed_us

    def unix_us(self) -> int:
        return self._start_us + self.passed_us


def start_us(trace: Trace) -> int:
    return int(trace.start.astype("datetime64[us]").astype(np.int64))


@pytest.fixture(scope="module")
def trace() -> Trace:
    return generate(SynthSpec(n_sites=2, sectors=1, layers=3, days=1, seed=5, median_load=0.1))


def test_what_radios_carry_is_the_path_of_the_replay(trace: Trace, world: EvaluatedWorld) -> None:
    model = build_plant(trace, world, assign_evenly(trace.cells.site_id, None), seed=3)
    clock = HandClock(start_us(trace))
    clock.passed_us = 2 * SAMPLE_US + 5
    plant = model.start(clock)
    clock.passed_us = 5 * SAMPLE_US
    reading = plant.read_radio("site-002", 0, clock.monotonic_us())
    path = make_scene(trace, world, seed=3).path
    np.testing.assert_array_equal(reading.carried, path[trace.cells.site_numbers() == 1, 2:5])
    assert reading.last_sample == 5
    assert reading.end_unix_us[-1] == start_us(trace) + 5 * SAMPLE_US
    radio = plant.describe_radio("site-002")
    assert radio.level_names == world.world.level_names
    assert radio.full_service_level == FULL_SERVICE
    assert not radio.allowed[~radio.is_capacity][:, radio.off_air].any()


def test_a_trace_that_is_over_starts_over_and_says_so_once(trace: Trace, world: EvaluatedWorld) -> None:
    model = build_plant(trace, world, assign_evenly(trace.cells.site_id, None))
    told: list[str] = []

    async def run() -> None:
        clock = HostClock(1e6, time.time_ns() // 1000, start_us(trace))
        serving = asyncio.create_task(serve_plant(model, clock, "127.0.0.1:0", told.append))
        for _ in range(100):
            await asyncio.sleep(0.1)
            if clock.unix_us() - start_us(trace) > 4 * 86_400e6 and len(told) > 1:
                break
        os.kill(os.getpid(), signal.SIGTERM)
        await serving

    asyncio.run(run())
    assert [line.partition(":")[2].split()[0] for line in told] == ["6", "the", "ended;"]


def test_a_trace_that_begins_later_is_refused(trace: Trace, world: EvaluatedWorld) -> None:
    model = build_plant(trace, world, assign_evenly(trace.cells.site_id, None))
    clock = HandClock(start_us(trace))
    clock.passed_us = -7_000_000
    with pytest.raises(ConfigError, match="begins in 7 s"):
        model.start(clock)


def test_a_sites_file_adds_site_power(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "sites.yaml"
    path.write_text(HEAD + DEFAULTS)
    world = load_world("earth-macro")
    model = build_plant(trace, world, assign_evenly(trace.cells.site_id, 1), sites=path)
    clock = HandClock(start_us(trace))
    plant = model.start(clock)
    clock.passed_us = 4 * SAMPLE_US
    power = plant.describe_power("site-001")
    assert power.site_id == tuple(np.unique(trace.cells.site_id))
    assert (power.reserve_wh > 0).all()
    assert (power.reserve_wh <= power.capacity_wh).all()
    reading = plant.read_power("site-001", 0, clock.monotonic_us())
    radio_w = np.bincount(trace.cells.site_numbers(), plant.radio.book.last_power)
    assert reading.load_w[:, -1] == pytest.approx(300 + radio_w, rel=0.2)  # of the sample before
    assert reading.is_safe.all()


class Running(NamedTuple):
    """A plant process and its address."""

    process: subprocess.Popen[str]
    address: str
    first_line: str


@pytest.fixture(scope="module")
def running(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("plant")
    write_tidy(trace, folder / "trace")
    address = f"unix:{folder}/plant.sock"
    command = [sys.executable, "-c", MAIN, "plant", str(folder / "trace"), "--listen", address]
    command += ["--agents", "2", "--speed", str(SPEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Running(process, address, process.stdout.readline())
        process.kill()


async def levels(link: RadioPlantLink, wanted: int) -> list[int]:
    """Levels, looked at until all are the wanted one, for ten seconds at most."""
    found: list[int] = []
    for _ in range(100):
        with suppress(OSError):
            found = (await link.read(0)).level.tolist()
            if set(found) == {wanted}:
                break
        await asyncio.sleep(0.1)
    return found


def test_the_process_serves_takes_faults_and_ends_when_told(running: Running) -> None:
    assert running.first_line == (
        f"plant: 6 cells of 2 agents (site-001 .. site-002) on {running.address}, {SPEED} times as fast as time\n"
    )

    def fault(*arguments: str) -> None:
        made = CliRunner().invoke(app, ["plant-fault", *arguments, "--address", running.address])
        assert made.exit_code == 0, made.output

    async def read(deadline_s: float = 0.2) -> bool:
        link = RadioPlantLink(running.address, "site-001", deadline_s)
        try:
            await link.read(0)
        except OSError:
            return False
        finally:
            await link.close()
        return True

    fault("silent", "--agent", "site-001")
    assert not asyncio.run(read())
    fault("silent", "--agent", "site-001", "--heal")
    assert asyncio.run(read(5.0))
    assert asyncio.run(put_to_sleep_and_wait(running.address)) == [FULL_SERVICE] * 3
    running.process.send_signal(signal.SIGTERM)
    rest, _ = running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert "% below none" in rest


async def put_to_sleep_and_wait(address: str) -> list[int]:
    """Levels of all cells once their timers, half a second from now, have run out."""
    link = RadioPlantLink(address, "site-001")
    until_us = HostClock(SPEED).monotonic_us() + SPEED * 500_000
    level = np.full(3, FULL_SERVICE + 1, np.uint8)
    setting = RadioSetting(np.arange(3), level, np.full(3, until_us), np.zeros(3, np.bool_))
    done = await link.apply(setting, 1)
    assert done.all()
    found = await levels(link, FULL_SERVICE)
    await link.close()
    return found


def test_wrong_options_say_what_to_do(tmp_path: Path) -> None:
    def says(*arguments: str) -> str:
        made = CliRunner().invoke(app, list(arguments))
        assert made.exit_code == 2
        return made.stderr

    both = ("plant", "--listen", "unix:p", "--agents", "2", "--assign", "x")
    assert "keep one" in says(*both)
    assert "--listen 0.0.0.0:5: the simulated plant listens on" in says("plant", "--listen", "0.0.0.0:5")
    assert "above 0" in says("plant", "--listen", "unix:p", "--speed", "0")
    assert "choose 1 .. 8" in says("plant", "--listen", "unix:p", "--agents", "9")
    assert "use one of frozen-counters" in says("plant-fault", "asleep", "--address", "unix:p")
    assert "UNAVAILABLE" in says("plant-fault", "silent", "--address", f"unix:{tmp_path}/none")
