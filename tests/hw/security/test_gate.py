"""Every RPC of both services with every kind of credential, against a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.hw.security.stand_in import AGENT, CALLS, outcome

from hw.security.credentials import TlsFiles, agent_channel_options, client_credentials
from hw.security.identity import Role, make_identity

OK, DENIED, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE


def test_x(serve, lab):
    async def run():
        async with serve() as served, grpc.aio.secure_channel(f"127.0.0.1:{served.port}", client_credentials(TlsFiles(lab, "edge-1")), options=agent_channel_options(AGENT)) as ch:
            for c in CALLS:
                print(c, await outcome(ch, c))
    asyncio.run(run())
