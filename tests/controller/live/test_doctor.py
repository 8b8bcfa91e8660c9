"""``quietcell doctor`` and ``init``: what they find, against agents on loopback with and without TLS."""

from __future__ import annotations

import fcntl
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from quietcell.ran.v1 import ran_pb2_grpc
from quietcell.ran.v1.ran_pb2 import WatchStateResponse
from typer.testing import CliRunner

from controller.cli import app
from controller.live.config import load_live
from hw.adapters import radio_codec, radio_report_codec
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles, server_credentials
from hw.security.identity import Role, make_identity
from tests.controller.live.doubles import CELLS_CSV, MORNING_S, AgentDouble, two_agents


class Radio(ran_pb2_grpc.RanAgentServiceServicer):
    """Answers as a double says, with a clock that may be off."""

    def __init__(self, double: AgentDouble) -> None:
        self.double, self.off_s, self.has_dead_man = double, 0.0, True

    def GetInventory(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self.double.inventory()
        timers = np.full(found.abilities.n_cells, self.has_dead_man)
        return radio_codec.inventory_to(
            replace(found, abilities=replace(found.abilities, has_dead_man=timers))
        )

    def WatchState(self, request: Any, context: Any) -> Any:  # noqa: N802
        report = self.double.report(MORNING_S * 1_000_000, None)
        measured = time.time_ns() // 1000 + round(self.off_s * 1e6)
        message = radio_report_codec.report_to(replace(report, measured_unix_us=measured))
        yield WatchStateResponse(header=message.header, states=message.states)


@contextmanager
def _serving(radio: Radio, credentials: grpc.ServerCredentials | None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    ran_pb2_grpc.add_RanAgentServiceServicer_to_server(radio, server)
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait(2.0)


@contextmanager
def _network(folder: Path, *, tls: bool, days: int = 30) -> Iterator[list[Radio]]:
    """Two agents, and a configuration of a controller of theirs in ``folder``."""
    lab = folder / "lab"
    if tls:
        init_ca(lab)
        issue(lab, make_identity(Role.CONTROLLER, "edge-1"), ["127.0.0.1"], days)
        for name in ("site-a", "site-b"):
            issue(lab, make_identity(Role.AGENT, name), ["127.0.0.1"], days)
    (folder / "cells.csv").write_text(CELLS_CSV)
    radios = [Radio(double) for double in two_agents()]
    for radio in radios:
        radio.double.is_simulated = False
    given = [server_credentials(TlsFiles(lab, r.double.agent_id)) if tls else None for r in radios]
    with _serving(radios[0], given[0]) as a, _serving(radios[1], given[1]) as b:
        more = f"tls: {lab}" if tls else ""
        (folder / "live.yaml").write_text(
            f"""schema: quietcell.live/1
controller: edge-1
cells: {folder}/cells.csv
journal: {folder}/journal.db
listen: "127.0.0.1:{_free_port()}"
agents:
  - {{id: site-a, address: "127.0.0.1:{a}"}}
  - {{id: site-b, address: "127.0.0.1:{b}"}}
{more}
"""
        )
        yield radios


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _doctor(folder: Path, *more: str) -> tuple[int, list[dict[str, str]]]:
    result = CliRunner().invoke(app, ["doctor", "--config", str(folder / "live.yaml"), "--json", *more])
    document = json.loads(result.stdout)
    assert document["passed"] == (result.exit_code == 0)
    for finding in document["findings"]:
        assert bool(finding["remedy"]) == (finding["verdict"] != "ok"), finding
    return result.exit_code, document["findings"]


def _bad(findings: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(f["about"], f["verdict"]) for f in findings if f["verdict"] != "ok" and f["about"] != "disk"]


def test_a_network_with_tls_that_is_well(tmp_path: Path) -> None:
    with _network(tmp_path, tls=True):
        code, findings = _doctor(tmp_path)
    assert (code, _bad(findings)) == (0, [])
    assert "reached, 3 cells, all with a dead-man timer" in [finding["text"] for finding in findings]


def test_certificates_that_end_soon_are_named_also_those_of_agents(tmp_path: Path) -> None:
    with _network(tmp_path, tls=True, days=3):
        code, findings = _doctor(tmp_path)
    assert code == 0
    wanted = [("certificate edge-1.pem", "warn"), ("agent site-a", "warn"), ("agent site-b", "warn")]
    assert _bad(findings) == wanted
    assert "quietcell certs issue" in findings[-1]["remedy"]


def test_without_a_certificate_nothing_is_asked(tmp_path: Path) -> None:
    with _network(tmp_path, tls=True):
        (tmp_path / "lab" / "edge-1.key").unlink()
        code, findings = _doctor(tmp_path)
    assert code == 1
    assert _bad(findings)[-1] == ("agents", "fail")


def test_what_is_wrong_with_agents(tmp_path: Path) -> None:
    with _network(tmp_path, tls=False) as (one, other):
        one.has_dead_man, one.off_s, one.double.is_stopped = False, -400.0, True
        one.double.local.add(1)
        other.double.cell_id, other.off_s = ("b0", "unheard-of"), 30.0
        code, findings = _doctor(tmp_path, "--insecure")
    texts = "\n".join(f["text"] for f in findings if f["verdict"] == "warn")
    assert code == 0
    for part in (
        "3 of 3 have no dead-man timer",
        "its last sample is 400 s old",
        "its last sample is -30 s old",
        "its stop latch is set",
        "1 cells are switched or locked by hand",
        "1 cells, such as unheard-of, are not in the cell table",
        "1 cells, such as b1, are named by no agent",
    ):
        assert part in texts


def test_a_simulated_plant_may_have_another_time(tmp_path: Path) -> None:
    with _network(tmp_path, tls=False) as (one, other):
        one.double.is_simulated, one.off_s, other.off_s = True, -1e7, -400.0
        code, findings = _doctor(tmp_path, "--insecure")
    assert code == 0
    late = [f["about"] for f in findings if "last sample" in f["text"]]
    assert late == ["agent site-b"]


def test_an_agent_that_is_away_a_port_that_is_taken_and_a_bad_model_fail(tmp_path: Path) -> None:
    with _network(tmp_path, tls=False), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = tmp_path / "live.yaml"
        text = (
            config.read_text()
            .replace("listen:", "seed: 1\n#")
            .replace("address:", "address: '127.0.0.1:1' #", 1)
        )
        text = text.replace(
            "  - {id: site-a, address: '127.0.0.1:1' #", "  - {id: site-a, address: '127.0.0.1:1'} #"
        )
        port = taken.getsockname()[1]
        config.write_text(f'{text}\nlisten: "127.0.0.1:{port}"\nmodel: {tmp_path}/none.onnx\nworld: moon\n')
        code, findings = _doctor(tmp_path, "--insecure")
    assert code == 1
    failed = {about for about, verdict in _bad(findings) if verdict == "fail"}
    assert failed == {"agent site-a", "listen", "model", "world"}


def test_beside_a_running_controller_the_lock_is_named_and_not_taken(tmp_path: Path) -> None:
    with _network(tmp_path, tls=False), (tmp_path / "journal.db.lock").open("w") as lock:
        lock.write("process 7 on edge\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, findings = _doctor(tmp_path, "--insecure")
    assert "held by process 7 on edge" in [finding["text"] for finding in findings]
    assert ("listen", "warn") in _bad(findings)  # it runs, yet does not serve


def test_a_journal_that_is_none_fails(tmp_path: Path) -> None:
    with _network(tmp_path, tls=False):
        (tmp_path / "journal.db").write_text("not a journal")
        code, findings = _doctor(tmp_path, "--insecure")
    assert (code, ("journal", "fail") in _bad(findings)) == (1, True)


def test_a_bad_configuration_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "live.yaml").write_text("schema: quietcell.live/1\n")
    code, findings = _doctor(tmp_path)
    assert (code, len(findings)) == (1, 1)


def test_in_words_each_problem_has_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "live.yaml").write_text("schema: quietcell.live/2\n")
    result = CliRunner().invoke(app, ["doctor", "--config", str(tmp_path / "live.yaml")])
    lines = result.stdout.splitlines()
    assert lines[0].startswith("fail ")
    assert lines[-2].startswith("     -> ")
    assert lines[-1] == "0 ok, 0 warnings, 1 failures"


def test_init_writes_what_the_controller_reads_and_overwrites_nothing(tmp_path: Path) -> None:
    call = ["init", str(tmp_path / "edge"), "--cells", "cells.csv", "--agent", "site-a=10.0.0.7:50051"]
    assert CliRunner().invoke(app, [*call, "--agent", "site-b=[::1]:50051"]).exit_code == 0
    told = load_live(tmp_path / "edge" / "live.yaml")
    assert [(agent.id, agent.address) for agent in told.agents][1] == ("site-b", "[::1]:50051")
    assert Path(told.tls or "").parent == tmp_path / "edge"
    assert told.metrics == "127.0.0.1:9464"
    assert "certs issue" in (tmp_path / "edge" / "CHECKLIST.md").read_text()
    again = CliRunner().invoke(app, call)
    assert (again.exit_code, "move it away" in again.stderr) == (2, True)


def test_init_asks_for_network_and_agents(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["init", str(tmp_path), "--insecure"],
        input="sample\nsite-001=127.0.0.1:5 site-002=127.0.0.1:6\n",
    )
    assert result.exit_code == 0
    told = load_live(tmp_path / "live.yaml")
    assert (told.trace, len(told.agents), told.tls) == ("sample", 2, None)


@pytest.mark.parametrize("agent", ["site", "Site=127.0.0.1:5", "=127.0.0.1:5"])
def test_init_refuses_what_is_no_agent(tmp_path: Path, agent: str) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path), "--trace", "sample", "--agent", agent])
    assert result.exit_code == 2
    assert not (tmp_path / "live.yaml").exists()
