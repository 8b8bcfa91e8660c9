"""The lab: processes over mutual TLS, started and ended by one command, and a client that knows nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
START_S, LEVELS_S = 240.0, 60.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a lab of two agents runs; it is ended, and must end well, afterwards."""
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
        "300",
    ]
    code = "from controller.cli import main; main()"
    with (folder.parent / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        _wait(lambda: "connected=2 of=2" in (folder.parent / "out").read_text(), START_S)
        yield folder
    finally:
        process.terminate()
        process.wait(60)
    said = (folder.parent / "out").read_text()
    assert process.returncode == 0, said
    assert 'stopped confirmed=2 unconfirmed=""' in said
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


def test_stop_goes_past_the_controller_and_is_cleared_by_an_administrator(lab: Path) -> None:
    code = "from controller.cli import main; main()"

    def quietcell(*arguments: str) -> dict[str, object]:
        command = [sys.executable, "-c", code, *arguments, "--config", str(lab / "live.yaml"), "--json"]
        made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
        return json.loads(made.stdout)

    assert "confirmed" in json.dumps(quietcell("stop", "--reason", "a test", "--as", "operator"))
    assert "confirmed" in json.dumps(quietcell("stop", "--clear", "--reason", "over", "--as", "admin"))
