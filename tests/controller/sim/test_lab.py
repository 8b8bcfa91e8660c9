"""The lab: processes over mutual TLS, started and ended by one command, and a client that knows nothing of ours."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from quietcell.power.v1 import power_pb2

from controller.live.config import load_live
from controller.live.dialling import certificate, dial_of
from controller.sim.assign import agent_names
from controller.sim.lab_power import equip
from controller.site.sites_file import SitesFile
from hw.adapters.operator import PowerOperator
from traces.sample import sample_path
from traces.synthesis import SynthSpec, generate

BIN = Path(sys.executable).parent
START_S, BATTERIES_S = 240.0, 240.0
A_LOT_W = 500.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a lab of two radio agents and two power agents runs; it is ended, and must end well."""
    folder = tmp_path_factory.mktemp("lab") / "lab"
    arguments = [
        "lab",
        "--out",
        str(folder),
        "--cells",
        "18",
        "--agents",
        "2",
        "--policy",
        "threshold",
        "--speed",
        "240",
    ]
    code = "from controller.cli import main; main()"
    with (folder.parent / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait(lambda: "connected=4 of=4" in (folder.parent / "out").read_text(), START_S)
        yield folder
    finally:
        process.terminate()
        process.wait(60)
    said = (folder.parent / "out").read_text()
    assert process.returncode == 0, said
    assert re.search(r'stopped confirmed=[2-4] unconfirmed=""', said), "one without leases is not asked"
    assert "% below none" in said


def _wait(is_so: object, within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.1)


def _address(lab: Path) -> str:
    line = next(text for text in (lab / "live.yaml").read_text().splitlines() if "id: site-001" in text)
    return line.split("'")[1]


def _buf(lab: Path, *arguments: str, name: str = "operator") -> subprocess.CompletedProcess[str]:
    tls = [
        "--cacert",
        f"{lab}/tls/ca.pem",
        "--cert",
        f"{lab}/tls/{name}.pem",
        "--key",
        f"{lab}/tls/{name}.key",
    ]
    command = [
        str(BIN / "buf"),
        "curl",
        "--protocol",
        "grpc",
        *tls,
        "--servername",
        "site-001.agent.quietcell",
    ]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_foreign_client_lists_and_calls_the_services_by_reflection(lab: Path) -> None:
    url = f"https://{_address(lab)}"
    listed = _buf(lab, url, "--list-methods")
    assert "quietcell.ran.v1.RanAgentService/Stop" in listed.stdout, listed.stderr
    called = _buf(lab, "-d", "{}", f"{url}/quietcell.ran.v1.RanAgentService/GetInventory")
    inventory = json.loads(called.stdout)
    assert inventory["agentId"] == "site-001"
    assert len(inventory["cells"]) == 9
    refused = _buf(lab, "-d", '{"reason": "x"}', f"{url}/quietcell.ran.v1.RanAgentService/ClearStop")
    assert "permission_denied" in refused.stderr
    assert _buf(lab, url, "--list-methods", name="ca").returncode  # no key of anybody


def _quietcell(lab: Path, *arguments: str) -> dict[str, object]:
    code = "from controller.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments, "--config", str(lab / "live.yaml"), "--json"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return json.loads(made.stdout)


async def _battery_states(lab: Path, *wanted: str) -> None:
    """Watch the first power agent until its sites have been in each of these states."""
    told = load_live(lab / "live.yaml")
    agent = next(agent for agent in told.agents if agent.kind == "power")
    left = set(wanted)
    async with PowerOperator(dial_of(agent, certificate(told, "operator", insecure=False))) as operator:
        async with asyncio.timeout(BATTERIES_S):
            async for found in operator._agent.WatchState(power_pb2.WatchStateRequest()):
                states = found.states
                leased_w = np.where(states.is_leased, states.battery_w, 0.0)
                left -= {
                    *["charges"] * bool((leased_w < -A_LOT_W).any()),
                    *["discharges"] * bool((leased_w > A_LOT_W).any()),
                    *["leased"] * any(states.is_leased),
                    *["stopped"] * (states.stop.is_set and not any(states.is_leased)),
                }
                if not left:
                    return


def test_batteries_work_until_a_stop_puts_them_on_safe_charging(lab: Path) -> None:
    asyncio.run(_battery_states(lab, "charges", "discharges"))
    stopped = _quietcell(lab, "stop", "--reason", "a test", "--as", "operator")
    names = ["site-001", "site-002", "site-001-power", "site-002-power"]
    assert stopped["confirmed"] == names
    asyncio.run(_battery_states(lab, "stopped"))
    cleared = _quietcell(lab, "stop", "--clear", "--reason", "over", "--as", "admin")
    assert cleared["confirmed"] == names
    asyncio.run(_battery_states(lab, "leased"))


def test_the_sites_of_the_first_agents_are_equipped_as_those_of_the_sample(tmp_path: Path) -> None:
    cells = generate(SynthSpec(n_sites=6, days=1)).cells
    sample = sample_path().parent / "sites.yaml"
    power = equip(tmp_path, cells, 3, sample, 2)
    assert power.agents == ("site-001-power", "site-002-power")
    assert power.sites is not None
    names = np.unique(cells.site_id).tolist()
    made, as_sample = SitesFile(power.sites), SitesFile(sample).spec.defaults
    assert made.with_power(names) == names[:4]
    assert made.resolve(names[:4])[0].packs == as_sample.packs
    assert equip(tmp_path, cells, 3, None, None) == (None, ())


def test_a_sites_file_says_by_itself_where_power_agents_stand(tmp_path: Path) -> None:
    cells = generate(SynthSpec(n_sites=6, days=1)).cells
    last = np.unique(cells.site_id)[-1]
    given = tmp_path / "mine.yaml"
    given.write_text(
        f"schema: quietcell.sites/1\nsource: x\ntariff: two-level\nsites:\n  - match: [{last}]\n",
        encoding="utf-8",
    )
    power = equip(tmp_path, cells, 3, given, None)
    assert power == (given, (agent_names(3)[-1],))
