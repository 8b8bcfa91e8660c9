"""The plant over gRPC is the plant: both links, every refusal, silence, and a client that is killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quietcell.plant.v1 import plant_pb2 as pb

from hw.agents.power_runner import check_reading
from hw.ports import PowerSetting, RadioSetting
from hw.sim_plant.addresses import check_local
from hw.sim_plant.errors import PlantError
from hw.sim_plant.faults import Fault
from hw.sim_plant.link import PlantLink, PowerPlantLink, RadioPlantLink
from hw.sim_plant.plant import PlantSim
from hw.sim_plant.server import start_server
from tests.hw.sim_plant.made import at, plant

SLEEPER = """
import asyncio, sys, numpy as np
from hw.ports import RadioSetting
from hw.sim_plant.link import RadioPlantLink

async def main():
    link = RadioPlantLink(sys.argv[1], "one")
    setting = RadioSetting(np.arange(4), np.full(4, 4, np.uint8), np.full(4, int(sys.argv[2])), np.zeros(4, bool))
    await link.apply(setting, 1)
    print("asleep", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


class HandClock:
    """A clock set by the test. [samples]"""

    def __init__(self) -> None:
        self.samples = 0.0

    def monotonic_us(self) -> int:
        return at(self.samples)

    def unix_us(self) -> int:
        return round(self.samples * 60e6)


def setting_of(
    cell: list[int], level: list[int], until_us: list[int], *, extends: bool = False
) -> RadioSetting:
    k = len(cell)
    return RadioSetting(np.array(cell), np.array(level, np.uint8), np.array(until_us), np.full(k, extends))


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Compile first, as the plant's process does: what compiles while it serves outlasts a link's deadline."""
    plant().advance(at(1))


Body = Callable[[PlantSim, HandClock, str], Awaitable[None]]


def served(body: Body, sim: PlantSim | None = None) -> None:
    """Run ``body`` against a server on a free port."""

    async def run() -> None:
        found, clock = sim or plant(), HandClock()
        server, address = await start_server(found, clock, "127.0.0.1:0")
        try:
            await body(found, clock, address)
        finally:
            await server.stop(0)

    asyncio.run(run())


def same(one: Any, other: Any) -> None:
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_links_hand_through_what_the_plant_says() -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        radio, power = RadioPlantLink(address, "one"), PowerPlantLink(address, "one")
        same(await radio.abilities(), sim.describe_radio("one"))
        same(await power.abilities(), sim.describe_power("one"))
        done = await radio.apply(setting_of([2, 1], [4, 0], [at(9), 0]), 1)
        assert done.tolist() == [True, True]
        setting = PowerSetting(
            np.array([1]),
            np.array([700.0]),
            np.array([np.inf]),
            np.array([at(9)]),
            *np.zeros((4, 1), np.bool_),
        )
        assert (await power.apply(setting, 1)).tolist() == [True]
        assert (await radio.apply(setting_of([2], [1], [0]), 0)).tolist() == [False]  # overtaken
        extended = setting_of([2, 3], [4, 4], [at(9), at(9)], extends=True)
        assert (await radio.apply(extended, 2)).tolist() == [True, False]  # cell 3 was at full service
        clock.samples = 3.5
        same(await radio.read(1), sim.read_radio("one", 1, at(3.5)))
        same(await power.read(1), sim.read_power("one", 1, at(3.5)))
        reading = await radio.read(3)
        assert reading.level.tolist() == [1, 0, 4, 1]
        assert (reading.last_sample, reading.carried.shape) == (3, (4, 0))
        assert (await power.read(3)).soc.shape == (2, 0)
        await asyncio.gather(radio.close(), power.close())

    served(body)


def test_an_agent_without_cells_and_sites_is_served_too() -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        radio, power = RadioPlantLink(address, "none"), PowerPlantLink(address, "none")
        clock.samples = 3.5
        for after, samples in ((1, 2), (3, 0)):
            assert (await radio.read(after)).carried.shape == (0, samples)
            reading = await power.read(after)
            assert (reading.last_sample, reading.soc.shape, reading.mains.dtype) == (
                3,
                (0, samples),
                np.bool_,
            )
            check_reading(reading, (await power.abilities()).n_sites)
        await asyncio.gather(radio.close(), power.close())

    served(body)


def test_the_radios_of_a_site_load_its_power() -> None:
    sim = plant()
    sim.advance(at(1))
    cell_w = 10 * sim.radio.book.last_power
    reading = sim.read_power("one", 1, at(2))
    assert reading.load_w[:, 0] == pytest.approx(
        300 + np.array([cell_w[0] + cell_w[2], cell_w[1] + cell_w[3]])
    )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (
            pb.ApplyRadioRequest(agent_id="one", cell=[4], level=[1], until_us=[0], extends=[False]),
            "cell must be below 4, not 4",
        ),
        (
            pb.ApplyRadioRequest(
                agent_id="one", cell=[0, 0], level=[1, 1], until_us=[0, 0], extends=[False, False]
            ),
            "twice",
        ),
        (
            pb.ApplyRadioRequest(agent_id="one", cell=[0], level=[6], until_us=[0], extends=[False]),
            "level must be below 6",
        ),
        (
            pb.ApplyRadioRequest(agent_id="one", cell=[0], level=[999], until_us=[0], extends=[False]),
            "level must be below 256",
        ),
        (
            pb.ApplyRadioRequest(agent_id="one", cell=[0], level=[1], until_us=[2**64 - 1], extends=[False]),
            "until_us",
        ),
        (pb.ApplyRadioRequest(agent_id="one", cell=[0], level=[1]), "until_us 0"),
        (pb.ApplyRadioRequest(agent_id="three"), "'three' is not known; known: one, two, none"),
        (pb.InjectFaultRequest(agent_id="one"), "fault 0 is not known"),
        (pb.ApplyPowerRequest(agent_id="two", site=[1]), "battery_w 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_plant_goes_on(request_: Any, says: str) -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        link = PlantLink(address)
        method = getattr(link.stub, type(request_).__name__.removesuffix("Request"))
        with pytest.raises(OSError, match=says):
            await link.call(method, request_)
        await link.inject("one", Fault.REBOOT)
        await link.close()

    served(body)


def test_a_silent_plant_lets_wait_and_its_timers_go_on() -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        one, two = (RadioPlantLink(address, agent, deadline_s=0.15) for agent in ("one", "two"))
        await one.apply(setting_of([0], [4], [at(2)]), 1)
        await one.inject("one", Fault.SILENT)
        with pytest.raises(OSError, match="DEADLINE_EXCEEDED"):
            await one.read(0)
        assert (await two.read(0)).last_sample == 0
        clock.samples = 9
        await one.inject("one", Fault.SILENT, heals=True)
        assert (await one.read(0)).level[0] == 1
        await asyncio.gather(one.close(), two.close())

    served(body)


def test_users_and_energy_come_over_the_wire_and_a_fault_at_a_named_cell() -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        link = RadioPlantLink(address, "one")
        with pytest.raises(OSError, match="'cell-4' is not known here"):
            await link.inject("one", Fault.SLOW_USERS, cell_id=["cell-4"], share=0.5)
        await link.inject("one", Fault.SLOW_USERS, cell_id=["cell-2"], share=1.0)
        clock.samples = 2
        found, true = await link.read(0), sim.read_radio("one", 0, at(2))
        for name in ("carried", "throughput", "energy_wh"):
            np.testing.assert_array_equal(getattr(found, name), getattr(true, name))
        served = found.throughput[found.carried > 0]
        assert found.energy_wh.shape == (4, 2)
        assert (found.energy_wh > 0).all()
        assert (found.throughput[2][found.carried[2] > 0] == 0).all()
        assert (served > 0).any()
        await link.close()

    served(body)


def test_faults_reach_the_agent_that_is_named_or_all() -> None:
    sim = plant()
    sim.inject("one", Fault.LOCAL_CONTROL, at(0), heals=False)
    assert sim.read_radio("one", 0, at(0)).local_control.all()
    assert sim.read_power("one", 0, at(0)).local_control.all()
    assert not sim.read_radio("two", 0, at(0)).local_control.any()
    sim.inject("", Fault.OUTAGE, at(0), heals=False)
    assert not sim.read_power("two", 0, at(1)).mains.any()


def test_without_site_power_there_are_no_sites() -> None:
    sim = plant(with_power=False)
    assert sim.describe_power("one").n_sites == 0
    with pytest.raises(PlantError, match="sites file"):
        sim.read_power("one", 0, at(0))
    sim.inject("one", Fault.OUTAGE, at(0), heals=False)


def test_an_unreachable_plant_is_an_os_error_and_a_plant_that_comes_back_is_found() -> None:
    async def run() -> None:
        sim, clock = plant(with_power=False), HandClock()
        server, address = await start_server(sim, clock, "127.0.0.1:0")
        link = RadioPlantLink(address, "one")
        await link.read(0)
        await server.stop(0)
        with pytest.raises(OSError, match="UNAVAILABLE"):
            await link.read(0)
        server, _ = await start_server(sim, clock, address)
        for _ in range(50):
            try:
                await link.read(0)
                break
            except OSError:
                await asyncio.sleep(0.1)
        assert (await link.read(0)).last_sample == 0
        await link.close()
        await server.stop(0)

    asyncio.run(run())


def test_a_client_that_is_killed_leaves_timers_that_wake() -> None:
    async def body(sim: PlantSim, clock: HandClock, address: str) -> None:
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SLEEPER,
            address,
            str(at(2.5)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdout is not None
        assert await asyncio.wait_for(client.stdout.readline(), 60) == b"asleep\n"
        client.kill()
        await client.wait()
        link = RadioPlantLink(address, "one")
        clock.samples = 2.4
        assert (await link.read(0)).level.tolist() == [4] * 4
        clock.samples = 9
        assert (await link.read(0)).level.tolist() == [1] * 4
        await link.close()

    served(body, plant(with_power=False))


@pytest.mark.parametrize("address", ["0.0.0.0:1", "10.0.0.1:50", "plant.example:50", "[::]:50", ""])
def test_others_cannot_reach_the_plant(address: str) -> None:
    with pytest.raises(PlantError, match="loopback"):
        check_local(address)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:5", "[::1]:7", "unix:plant.sock"])
def test_this_machine_can(address: str) -> None:
    check_local(address)


def test_a_unix_socket_serves(tmp_path: Path) -> None:
    async def run() -> None:
        server, address = await start_server(plant(with_power=False), HandClock(), f"unix:{tmp_path}/p")
        link = RadioPlantLink(address, "two")
        assert (await link.abilities()).cell_id == ("cell-4",)
        await link.close()
        await server.stop(0)

    asyncio.run(run())


def test_agents_need_no_kernels_to_reach_the_plant() -> None:
    code = "import sys, hw.sim_plant.link; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
