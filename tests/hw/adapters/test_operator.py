"""Calls to one agent without a controller, and the health of a process, over real servers on loopback."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2, power_pb2_grpc

from hw.adapters.dial import AgentRefused, AgentUnreachable, Dial, NotThere
from hw.adapters.health import HealthServer
from hw.adapters.operator import PowerOperator, RadioOperator
from tests.hw.adapters.agent_double import AgentDouble, run, serving


class PowerDouble(power_pb2_grpc.PowerAgentServiceServicer):
    async def Stop(self, request, context):  # noqa: N802
        return power_pb2.StopResponse(stop=lease_pb2.StopLatch(is_set=True, author=request.author), changed=1)

    async def ClearStop(self, request, context):  # noqa: N802
        return power_pb2.ClearStopResponse(stop=lease_pb2.StopLatch(reason=request.reason))

    async def ChargeSafely(self, request, context):  # noqa: N802
        return power_pb2.ChargeSafelyResponse(site_id=request.site_id or ["all"])


def test_a_radio_agent_is_stopped_woken_cleared_and_looked_at() -> None:
    async def test() -> None:
        async with serving(AgentDouble()) as dial, RadioOperator(dial) as operator:
            stopped = await operator.stop("anna", "smoke")
            assert (stopped.latch.is_set, stopped.latch.author, stopped.changed, stopped.wake_ms) == (
                True,
                "anna",
                2,
                200,
            )
            assert (await operator.wake(["site-001/1", "elsewhere"], "anna", "")).names == ("site-001/1",)
            with pytest.raises(NotThere, match="site-001"):
                await operator.wake(["elsewhere"], "anna", "")
            with pytest.raises(AgentRefused, match=r"for administrators only \(PERMISSION_DENIED\)"):
                await operator.clear("anna", "over")
            assert not (await operator.clear("admin", "over")).is_set
            assert (await operator.inventory()).abilities.cell_id == ("site-001/0", "site-001/1")
            assert [report.sequence async for report in operator.watch()] == [1]

    run(test())


def test_a_power_agent_is_stopped_and_charges_safely() -> None:
    async def test() -> None:
        server = grpc.aio.server()
        power_pb2_grpc.add_PowerAgentServiceServicer_to_server(PowerDouble(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with PowerOperator(Dial("site-001", f"127.0.0.1:{port}")) as operator:
            assert (await operator.stop("anna", "smoke")).changed == 1
            assert (await operator.wake(["s"], "anna", "")).names == ("s",)
            assert (await operator.clear("admin", "over")).reason == "over"
        await server.stop(0)

    run(test())


def test_a_slow_and_an_absent_agent_are_unreachable_within_the_deadline() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.unary_delay_s = 60.0
        async with serving(double) as dial, RadioOperator(dial, deadline_s=0.1) as operator:
            with pytest.raises(AgentUnreachable, match="DEADLINE_EXCEEDED"):
                await operator.wake([], "anna", "")
        async with RadioOperator(Dial("site-001", "127.0.0.1:1"), deadline_s=0.5) as operator:
            with pytest.raises(AgentUnreachable, match=r"site-001 at 127\.0\.0\.1:1 is not reached"):
                await operator.stop("anna", "")

    run(test())


def test_certificates_that_cannot_be_read_make_an_agent_unreachable() -> None:
    def unreadable() -> grpc.ChannelCredentials:
        raise OSError("ca.pem is not there")

    with pytest.raises(AgentUnreachable, match=r"site-001 at .*ca\.pem is not there"):
        Dial("site-001", "127.0.0.1:1", unreadable).open()


def test_health_says_alive_at_once_and_ready_when_told() -> None:
    async def test() -> None:
        server = HealthServer()
        port = await server.start("127.0.0.1:0", None)
        states = health_pb2.HealthCheckResponse
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = health_pb2_grpc.HealthStub(channel).Check

            async def status(service: str) -> int:
                return (await check(health_pb2.HealthCheckRequest(service=service))).status

            assert (await status(""), await status("ready")) == (states.SERVING, states.NOT_SERVING)
            await server.set_ready(True)
            assert await status("ready") == states.SERVING
        with pytest.raises(OSError, match="cannot be listened on"):
            await HealthServer().start(f"127.0.0.1:{port}", None)
        await server.stop()

    run(test())
