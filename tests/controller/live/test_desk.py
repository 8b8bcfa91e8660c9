"""Operators' words over mutual TLS: who is let in, what it does, and what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.cli.ladder_commands import _show
from controller.live.core import LiveCore
from controller.live.desk import Desk
from controller.live.events import CallRefused, Latched, Overridden, Ruling, Scope, StageChanged, Woken
from controller.live.inbox import Inbox
from controller.live.roles import RoleConfig, Roles
from hw.adapters import control_server
from hw.adapters.control_client import ControlClient
from hw.adapters.health import HealthServer
from hw.adapters.ladder import SERVICE, LadderClient, LadderError, Said, Standing, serves_ladder
from hw.ports import HostClock
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles, client_credentials, server_credentials
from hw.security.gate import Gate
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits
from hw.security.revoked import revoke, revoked_in
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import Harness, two_agents

NETWORK = ("network", "")
HOUR_S = 3600
CLOCK = HostClock()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    init_ca(folder, 30)
    issue(folder, make_identity(Role.CONTROLLER, "edge-1"), ["127.0.0.1"], 30)
    for role, names in ((Role.OPERATOR, ("anna", "eve")), (Role.ADMIN, ("chief", "deputy"))):
        for name in names:
            issue(folder, make_identity(role, name), [], 30)
    issue(folder, make_identity(Role.AGENT, "site-a"), ["127.0.0.1"], 30)
    return folder


class Scene:
    """A core behind its own server."""

    def __init__(self, core: LiveCore, lab: Path, port: int) -> None:
        self.core, self.lab, self.port = core, lab, port
        self.records: list[object] = []

    async def as_(self, name: str, call: Callable[[LadderClient], Awaitable[Said]]) -> Said:
        credentials = client_credentials(TlsFiles(self.lab, name))
        async with LadderClient(f"127.0.0.1:{self.port}", credentials) as client:
            return await call(client)

    async def refused(self, name: str, call: Callable[[LadderClient], Awaitable[object]]) -> str:
        credentials = client_credentials(TlsFiles(self.lab, name))
        async with LadderClient(f"127.0.0.1:{self.port}", credentials) as client:
            with pytest.raises(LadderError) as error:
                await call(client)
        await asyncio.sleep(0.05)
        (last,) = [r for r in self.records if isinstance(r, Ruling)][-1:]
        assert isinstance(last.asked, CallRefused)
        return f"{error.value} / {last.asked.author}"


@asynccontextmanager
async def scene(make: MakeCore, lab: Path, *roles: RoleConfig) -> AsyncIterator[Scene]:
    harness = Harness(
        make(ladder={"regions": {"north": ["s0"]}, "canaries": ["a1"]}),
        two_agents(),
        lambda second: (0.02,) * 5,
    )
    harness.connect()
    harness.run(60)
    core, inbox = harness.core, Inbox()
    files = TlsFiles(lab, "edge-1")
    gate = Gate(Limits(), revoked=revoked_in(files))
    desk = Desk(inbox, core.ladder, Roles(roles), CLOCK, core.canaries)
    gate.on_refused.append(desk.refused)
    server = HealthServer([gate])
    server.add(SERVICE, serves_ladder(desk, is_insecure=False))
    view: Any = SimpleNamespace()  # nobody looks here
    server.add(control_server.SERVICE, control_server.serves_control(view, desk, is_insecure=False))
    made = Scene(core, lab, await server.start("127.0.0.1:0", server_credentials(files)))

    async def feed() -> None:
        while True:
            event = await inbox.get()
            output = core.feed(event)
            made.records += output.durable
            desk.answer(event, output, 0.0)

    task = asyncio.ensure_future(feed())
    try:
        yield made
    finally:
        task.cancel()
        await server.stop()


def test_two_administrators_take_the_network_to_act(live_core: MakeCore, lab: Path) -> None:
    async def test() -> None:
        async with scene(live_core, lab) as at:
            first = await at.as_("chief", lambda c: c.change_stage(NETWORK, "act", "sure"))
            again = await at.as_("chief", lambda c: c.change_stage(NETWORK, "act", "sure"))
            assert (first.verdict, again.verdict) == ("waits", "waits")
            second = await at.as_("deputy", lambda c: c.change_stage(NETWORK, "act", "sure"))
            assert (second.verdict, second.cause) == ("in force", "asked for by admin/chief first")
            assert at.core.ladder.stage.tolist() == [3] * 5

    asyncio.run(test())


def test_calls_of_the_under_privileged_are_refused_and_recorded(live_core: MakeCore, lab: Path) -> None:
    async def test() -> None:
        async with scene(live_core, lab) as at:
            assert "needs admin" in await at.refused("anna", lambda c: c.change_stage(NETWORK, "act", ""))
            assert "needs act" in await at.refused("anna", lambda c: c.change_stage(NETWORK, "canary", ""))
            assert "needs act / operator/anna" in (await at.refused("anna", lambda c: c.lift(1, ""))).replace(
                " (PERMISSION_DENIED)", ""
            )
            assert "may not call" in await at.refused("edge-1", lambda c: c.approve("1-1", NETWORK))
            assert "controller/edge-1" in await at.refused("edge-1", lambda c: c.lift(1, ""))
            assert at.core.ladder.waiting == ()

    asyncio.run(test())


def test_an_operator_overrides_and_sees_it(live_core: MakeCore, lab: Path) -> None:
    async def test() -> None:
        async with scene(live_core, lab) as at:
            said = await at.as_("anna", lambda c: c.override(("site", "s0"), "awake", "", HOUR_S, "a fair"))
            assert said == Said("in force", 1, "")
            async with LadderClient(
                f"127.0.0.1:{at.port}", client_credentials(TlsFiles(lab, "edge-1"))
            ) as client:
                found = await client.standing()
            (one,) = found.overrides
            assert (*one[:5], *one[6:]) == (1, "site", "s0", "awake", "", "operator/anna", "a fair")
            assert 0 < one[5] - CLOCK.unix_us() <= HOUR_S * 1_000_000
            assert found.stages == (("s0", "shadow"), ("s1", "shadow"))
            assert found.canaries == (("a1", "s0", "waits", (), 0),)
            refused = await at.as_("anna", lambda c: c.override(("site", "s9"), "awake", "", HOUR_S, ""))
            assert refused.verdict == "refused"

    asyncio.run(test())


def test_named_roles_reach_only_their_sites(live_core: MakeCore, lab: Path) -> None:
    roles = (
        RoleConfig(who="operator/anna", may="act", regions=("north",)),
        RoleConfig(who="operator/eve", may="observe"),
    )

    async def test() -> None:
        async with scene(live_core, lab, *roles) as at:
            said = await at.as_("anna", lambda c: c.change_stage(("site", "s0"), "canary", ""))
            assert said.verdict == "waits"
            assert "site s1" in await at.refused("anna", lambda c: c.change_stage(NETWORK, "canary", ""))
            assert "site s1" in await at.refused(
                "anna", lambda c: c.override(("cell", "b0"), "awake", "", HOUR_S, "")
            )
            assert "needs approve" in await at.refused("eve", lambda c: c.approve("1-1", NETWORK))
            assert "may nothing" in await at.refused("chief", lambda c: c.standing())

    asyncio.run(test())


async def _latch(at: Scene, name: str, *, clear: bool = False) -> str:
    """Set or clear the stop latch as somebody. Returns why not; empty: done."""
    credentials = partial(client_credentials, TlsFiles(at.lab, name))
    async with ControlClient(f"127.0.0.1:{at.port}", credentials) as client:
        try:
            await (client.clear_stop("over") if clear else client.stop("smoke"))
        except ConnectionError as error:
            return str(error)
    return ""


def test_whoever_may_wake_stops_the_controller_and_only_an_administrator_clears(
    live_core: MakeCore, lab: Path
) -> None:
    async def test() -> None:
        async with scene(live_core, lab) as at:
            assert "is not reached" in await _latch(at, "site-a"), "an agent's certificate opens nothing"
            assert not at.core.wanted.is_stopped
            for name, who in (
                ("anna", "operator/anna"),
                ("edge-1", "controller/edge-1"),
                ("chief", "admin/chief"),
            ):
                at.records.clear()
                assert not await _latch(at, name)
                assert at.core.wanted.is_stopped
                (latched,) = [r for r in at.records if isinstance(r, Latched)]
                assert (latched.is_set, latched.author, latched.reason) == (True, who, "smoke")
                (woken,) = [r for r in at.records if isinstance(r, Woken)]
                assert woken.cell.tolist() == [0, 1, 2, 3, 4]
            assert "is not reached" in await _latch(at, "site-a", clear=True)
            for name in ("anna", "edge-1"):
                assert "may not call" in await _latch(at, name, clear=True)
                assert at.core.wanted.is_stopped
            assert not await _latch(at, "chief", clear=True)
            assert not at.core.wanted.is_stopped

    asyncio.run(test())


def test_with_named_roles_anybody_stops_and_an_administrator_of_all_sites_clears(
    live_core: MakeCore, lab: Path
) -> None:
    roles = (
        RoleConfig(who="admin/chief", may="admin"),
        RoleConfig(who="admin/deputy", may="admin", regions=("north",)),
    )

    async def test() -> None:
        async with scene(live_core, lab, *roles) as at:
            assert not await _latch(at, "eve")
            assert "nothing to say about site s1" in await _latch(at, "deputy", clear=True)
            assert at.core.wanted.is_stopped
            assert not await _latch(at, "chief", clear=True)
            assert not at.core.wanted.is_stopped

    asyncio.run(test())


def test_a_revoked_certificate_is_let_in_no_more(live_core: MakeCore, lab: Path) -> None:
    async def test() -> None:
        async with scene(live_core, lab) as at:
            assert (await at.as_("eve", lambda c: c.approve("1-1", NETWORK))).verdict == "refused"
            assert revoke(lab, "eve") == "operator/eve"
            assert "is revoked" in await at.refused("eve", lambda c: c.approve("1-1", NETWORK))
            (lab / "revoked.txt").write_text("nonsense\n")
            assert "is revoked" in await at.refused("eve", lambda c: c.approve("1-1", NETWORK))
            (lab / "revoked.txt").unlink()

    asyncio.run(test())


def test_who_may_what_at_each_rank(live_core: MakeCore) -> None:
    ladder = live_core(ladder={}).ladder
    words = [
        (None, "observe"),
        (Overridden(Scope("network"), "awake", "", 1, "", ""), "approve"),
        (StageChanged(Scope("network"), "shadow", "", ""), "approve"),
        (StageChanged(Scope("network"), "advise", "", ""), "act"),
        (StageChanged(Scope("network"), "act", "", ""), "admin"),
    ]
    ranks = ["observe", "approve", "act", "admin"]
    for rank in ranks:
        roles = Roles([RoleConfig(who="operator/anna", may=rank)])
        allowed = [not roles.refusal("operator/anna", word, ladder) for word, _ in words]
        assert allowed == [ranks.index(needed) <= ranks.index(rank) for _, needed in words]


def test_canaries_are_shown_with_what_they_are_compared_with(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (("a1", "s0", "acts", ("b1", "c1"), 0), ("a0", "s0", "rolled back", (), 1_800_000_000_000_000))
    _show(Standing(canaries=rows, canaries_wait="3 of 7"), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "no canary acts: 3 of 7",
        "canary a1 at s0: acts, compared with b1, c1",
        "canary a0 at s0: rolled back until 2027-01-15 08:00:00Z",
    ]
