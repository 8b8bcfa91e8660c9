"""No key in a log, an error, an answer or the list of processes; TLS is left away on loopback only."""

from __future__ import annotations

import ast
import asyncio
import logging
from pathlib import Path

import grpc
import pytest

from hw.errors import SecurityError
from hw.security.credentials import (
    TlsFiles,
    agent_channel_options,
    bind,
    check_reporter,
    choose_files,
    client_credentials,
    is_loopback,
)
from hw.security.gate import Gate
from hw.security.limits import Limits, TokenBucket
from tests.hw.security.conftest import Serve
from tests.hw.security.stand_in import AGENT, CALLS, Taken, outcome

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1", "127.9.9.9:50051", "[::1]:50051", "::1:50051", "unix:/run/a.sock", "unix:a.sock"],
)
def test_loopback_addresses(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "128.0.0.1:1",
            "localhost:1",
            "127.0.0.1",
            "127.0.0.1:",
            ":1",
            "",
        ),
        *("127.0.0.1.example:1", "dns:///127.0.0.1:1", "ipv4:127.0.0.1:1,10.0.0.1:2", "[::ffff:10.0.0.1]:1"),
        *("127.1:1", "0x7f.0.0.1:1", "127.0.0.1:http", "unix-abstract:a", "vsock:1:1"),
    ],
)
def test_other_addresses_need_tls(address: str) -> None:
    assert not is_loopback(address)

    async def run() -> None:
        with pytest.raises(SecurityError, match="needs TLS: give --tls FOLDER"):
            bind(grpc.aio.server(), address, None)

    asyncio.run(run())


def test_insecure_is_a_choice_of_its_own(tmp_path: Path) -> None:
    assert choose_files(tmp_path, "a", False, ["0.0.0.0:1"]) == TlsFiles(tmp_path, "a")
    assert choose_files(None, "a", True, ["127.0.0.1:1", "unix:/run/a"]) is None
    for folder, insecure in ((None, False), (tmp_path, True)):
        with pytest.raises(SecurityError, match="give either --tls FOLDER"):
            choose_files(folder, "a", insecure, ["127.0.0.1:1"])
    with pytest.raises(SecurityError, match=r"10\.0\.0\.1:1 may be reached from other hosts"):
        choose_files(None, "a", True, ["127.0.0.1:1", "10.0.0.1:1"])


def test_without_tls_on_loopback_everybody_may_and_limits_hold() -> None:
    async def run() -> None:
        limits, taken = Limits(messages_per_s=1, burst=len(CALLS)), Taken()
        gate = Gate(limits, is_insecure=True, monotonic_s=lambda: 0.0)
        server = grpc.aio.server(interceptors=[gate], options=limits.server_options())
        server.add_generic_rpc_handlers(tuple(taken.handlers()))
        port = bind(server, "127.0.0.1:0", None)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert {await outcome(channel, call) for call in CALLS} == {grpc.StatusCode.OK}
            codes = [await outcome(channel, CALLS[0]) for _ in CALLS]
            assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
        await server.stop(0)

    asyncio.run(run())


def test_a_secured_gate_refuses_everybody_on_an_insecure_port() -> None:
    async def run() -> list[str]:
        taken = Taken()
        server = grpc.aio.server(interceptors=[Gate(Limits())])
        server.add_generic_rpc_handlers(tuple(taken.handlers()))
        port = bind(server, "127.0.0.1:0", None)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert {await outcome(channel, call) for call in CALLS} == {grpc.StatusCode.UNAUTHENTICATED}
        await server.stop(0)
        return taken.paths

    assert asyncio.run(run()) == []


def test_an_agent_reports_for_itself_only() -> None:
    check_reporter(AGENT, AGENT)
    with pytest.raises(SecurityError, match="site-001 reports as 'site-002'"):
        check_reporter(AGENT, "site-002")


def test_each_refusal_is_one_log_line_without_secrets_and_a_flood_of_them_is_not_logged(
    serve: Serve, lab: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with (
            serve(gate=Gate(Limits(), monotonic_s=lambda: 0.0)) as served,
            grpc.aio.secure_channel(
                f"127.0.0.1:{served.port}",
                client_credentials(TlsFiles(lab, "anna")),
                agent_channel_options(AGENT),
            ) as channel,
        ):
            clear = next(call for call in CALLS if call.method == "ClearStop")
            for _ in range(60):
                assert await outcome(channel, clear) == grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(run())
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("hw.security")]
    assert len(lines) == 50
    for line in lines:
        assert "refused /quietcell.ran.v1.RanAgentService/ClearStop from ipv4:127.0.0.1" in line
        assert "(operator/anna)" in line
        assert "\n" not in line
    _hold_no_secret(caplog.text, lab)


@pytest.mark.parametrize("damage", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\n"])
def test_no_error_shows_a_key(
    lab: Path, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for file in lab.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    key = tmp_path / "anna.key"
    key.write_bytes(damage + key.read_bytes()[:-40])
    with pytest.raises(SecurityError) as caught:
        client_credentials(TlsFiles(tmp_path, "anna"))
    _hold_no_secret(str(caught.value) + repr(TlsFiles(tmp_path, "anna")) + caplog.text, lab)


def _hold_no_secret(text: str, lab: Path) -> None:
    assert "PRIVATE KEY" not in text
    for key in lab.glob("*.key"):
        for line in key.read_text().splitlines():
            assert line.startswith("-----") or line not in text


def test_keys_come_by_file_only() -> None:
    """No option, environment variable or file of settings of ours may carry a key: all of these can be listed."""
    suspicious = ("password", "passphrase", "secret", "private_key", "key_pem", "token")
    options = tuple(word.replace("_", "-") for word in suspicious)
    for path in [*ROOT.glob("controller/**/*.py"), *ROOT.glob("hw/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                assert node.arg not in suspicious, f"{path.name}:{node.lineno} takes {node.arg}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("--"):
                assert not any(word in node.value for word in options), f"{path.name}: {node.value}"


def test_material_does_not_print_its_key(lab: Path) -> None:
    _hold_no_secret(repr(TlsFiles(lab, "anna").read()), lab)


def test_a_bucket_lets_its_rate_pass() -> None:
    bucket = TokenBucket(10.0, 5)
    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(0.1), bucket.take(0.1)] == [True, False]
    assert [bucket.take(0.05), bucket.take(-1e9)] == [False, False]
    passed = sum(bucket.take(0.1 + i / 1000) for i in range(1, 10_001))
    assert 99 <= passed <= 105
    assert [bucket.take(1e9) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("wrong", [{"messages_per_s": 0}, {"messages_per_s": float("nan")}, {"burst": 0}])
def test_limits_are_above_zero(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        Limits(**wrong)  # type: ignore[arg-type]
