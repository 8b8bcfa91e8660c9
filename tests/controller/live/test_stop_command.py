"""``quietcell stop`` and ``wake`` against agents on loopback, some of which are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from quietcell.control.v1 import control_pb2, control_pb2_grpc
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2, power_pb2_grpc
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc
from typer.testing import CliRunner, Result

from controller.cli import app


class Radio(ran_pb2_grpc.RanAgentServiceServicer):
    """A radio agent with one cell."""

    def __init__(self, cell: str) -> None:
        self.cell, self.asked = cell, [("", "")]

    def Stop(self, request, context):  # noqa: N802
        self.asked.append((request.author, request.reason))
        return ran_pb2.StopResponse(stop=lease_pb2.StopLatch(is_set=True), woken=3, wake_ms=1200)

    def ClearStop(self, request, context):  # noqa: N802
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "for administrators only")

    def WakeUp(self, request, context):  # noqa: N802
        if request.cell_id and self.cell not in request.cell_id:
            context.abort(grpc.StatusCode.NOT_FOUND, "none of them is here")
        return ran_pb2.WakeUpResponse(cell_id=[self.cell], wake_ms=500)


class Power(power_pb2_grpc.PowerAgentServiceServicer):
    def Stop(self, request, context):  # noqa: N802
        return power_pb2.StopResponse(stop=lease_pb2.StopLatch(is_set=True), changed=2)

    def ClearStop(self, request, context):  # noqa: N802
        return power_pb2.ClearStopResponse()

    def ChargeSafely(self, request, context):  # noqa: N802
        context.abort(grpc.StatusCode.NOT_FOUND, "none of them is here")


class Controller(control_pb2_grpc.ControlServiceServicer):
    def __init__(self) -> None:
        self.said: list[str] = []

    def Stop(self, request, context):  # noqa: N802
        self.said.append(f"stop: {request.reason}")
        return control_pb2.StopResponse()

    def ClearStop(self, request, context):  # noqa: N802
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "this needs admin")


@contextmanager
def _serving(radio: Radio, power: Power) -> Iterator[tuple[int, int]]:
    ports = []
    servers = [grpc.server(ThreadPoolExecutor(2)) for _ in range(2)]
    ran_pb2_grpc.add_RanAgentServiceServicer_to_server(radio, servers[0])
    power_pb2_grpc.add_PowerAgentServiceServicer_to_server(power, servers[1])
    for server in servers:
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        server.start()
    try:
        yield ports[0], ports[1]
    finally:
        for server in servers:
            server.stop(None).wait(2.0)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[tuple[Radio, Path]]:
    """A radio agent, a power agent, and a radio agent that is not there."""
    radio = Radio("A1")
    with _serving(radio, Power()) as (radio_port, power_port):
        path = tmp_path / "live.yaml"
        path.write_text(
            f"""schema: quietcell.live/1
controller: edge-1
listen: 127.0.0.1:2
cells: cells.csv
journal: {tmp_path}/journal.db
agents:
  - {{id: site-001, address: "127.0.0.1:{radio_port}"}}
  - {{id: power-001, address: "127.0.0.1:{power_port}", kind: power}}
  - {{id: site-002, address: "127.0.0.1:1"}}
"""
        )
        yield radio, path


def _call(command: str, path: Path, *more: str) -> Result:
    return CliRunner().invoke(app, [command, "--config", str(path), "--insecure", *more])


def _document(command: str, path: Path, *more: str) -> tuple[int, Any]:
    result = _call(command, path, "--json", *more)
    return result.exit_code, json.loads(result.stdout)


def test_stop_says_who_confirmed_and_when_the_others_wake_by_lease(config: tuple[Radio, Path]) -> None:
    radio, path = config
    before = datetime.now(UTC)
    code, said = _document("stop", path, "--reason", "smoke", "--author", "anna")
    assert code == 1
    assert said["confirmed"] == ["site-001", "power-001"]
    assert said["unreachable"] == ["site-002"]
    assert radio.asked[-1] == ("anna", "smoke")
    agents = {agent["agent"]: agent for agent in said["agents"]}
    assert (agents["site-001"]["changed"], agents["site-001"]["wake_ms"]) == (3, 1200)
    assert "awake_by" not in agents["site-001"]
    by = datetime.fromisoformat(agents["site-002"]["awake_by"])
    assert timedelta(seconds=59) < by - before < timedelta(seconds=60 + 181)
    assert "the configured lease of 60 s" in said["assumes"]
    assert "no controller still reaches them: stop it too" in said["assumes"]
    assert said["controller"]["state"] == "unreachable"


def test_stop_in_words(config: tuple[Radio, Path]) -> None:
    lines = _call("stop", config[1], "--reason", "smoke").stdout.splitlines()
    assert lines[0] == "site-001  stopped: 3 cells wake within 1.2 s"
    assert lines[1] == "power-001  stopped: 2 sites go to safe charging"
    assert lines[2].startswith("site-002  NOT REACHED: agent site-002 at 127.0.0.1:1 is not reached")
    assert "awake by lease at 2" in lines[2]
    assert lines[3].startswith("awake at the latest assumes the configured lease of 60 s")
    assert lines[4].startswith("controller  NOT REACHED, count on the latches of the agents alone: ")
    assert lines[5] == "2 of 3 agents confirmed"


@pytest.fixture
def controller(config: tuple[Radio, Path]) -> Iterator[tuple[Controller, Path]]:
    """The agents, and the controller that listens."""
    made, server = Controller(), grpc.server(ThreadPoolExecutor(2))
    control_pb2_grpc.add_ControlServiceServicer_to_server(made, server)
    port, path = server.add_insecure_port("127.0.0.1:0"), config[1]
    server.start()
    path.write_text(path.read_text().replace("listen: 127.0.0.1:2", f"listen: 127.0.0.1:{port}"))
    yield made, path
    server.stop(None).wait(2.0)


def test_a_stop_of_all_is_told_to_the_controller_too(controller: tuple[Controller, Path]) -> None:
    made, path = controller
    code, said = _document("stop", path, "--reason", "smoke")
    assert code == 1, "one agent was not reached"
    assert said["controller"] == {"state": "confirmed", "cause": ""}
    assert "no other controller reaches them" in said["assumes"]
    assert "controller  stopped" in _call("stop", path, "--reason", "smoke").stdout.splitlines()
    assert made.said == ["stop: smoke"] * 2
    code, said = _document("stop", path, "--reason", "smoke", "--agent", "site-001")
    assert (code, "controller" in said) == (0, False)
    assert len(made.said) == 2, "a stop of one agent is that agent's alone"


def test_a_controller_that_keeps_its_latch_makes_a_clear_incomplete(
    controller: tuple[Controller, Path],
) -> None:
    path = controller[1]
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "id: site" not in line))
    cleared = _call("stop", path, "--clear", "--reason", "over")
    assert cleared.exit_code == 1
    assert "controller  REFUSED, it may keep its latch: " in cleared.stdout
    assert "1 of 1 agents confirmed" in cleared.stdout
    assert _call("stop", path, "--reason", "over").exit_code == 0


def test_one_agent_alone_and_a_refused_clear(config: tuple[Radio, Path]) -> None:
    _, path = config
    assert _call("stop", path, "--reason", "smoke", "--agent", "site-001").exit_code == 0
    code, said = _document("stop", path, "--clear", "--reason", "over", "--agent", "site-001")
    assert (code, said["refused"]) == (1, ["site-001"])
    assert "for administrators only" in said["agents"][0]["cause"]
    cleared = _call("stop", path, "--clear", "--reason", "over", "--agent", "power-001")
    assert (cleared.exit_code, cleared.stdout) == (0, "power-001  cleared\n1 of 1 agents confirmed\n")
    unknown = _call("stop", path, "--reason", "smoke", "--agent", "site-009")
    assert unknown.exit_code == 2
    assert "'site-009' is not among the agents" in unknown.stderr


def test_wake_asks_all_and_names_what_nobody_has(config: tuple[Radio, Path]) -> None:
    _, path = config
    code, said = _document("wake", path, "A1", "B7")
    assert code == 1
    assert said["confirmed"] == ["site-001"]
    assert said["not_woken"] == ["B7"]
    assert said["unreachable"] == ["site-002"]
    assert "B7  NOT WOKEN" in _call("wake", path, "A1", "B7").stdout


def test_without_tls_the_operator_must_say_so(config: tuple[Radio, Path]) -> None:
    result = CliRunner().invoke(app, ["stop", "--config", str(config[1]), "--reason", "smoke"])
    assert result.exit_code == 2
    assert "--insecure" in result.stderr
