"""How the agents of a configuration are reached, and with which certificate."""

from __future__ import annotations

from pathlib import Path

import grpc

from controller.live.config import AgentConfig, LiveConfig
from hw.adapters.dial import Dial
from hw.security.credentials import TlsFiles, choose_files, client_credentials


def certificate(config: LiveConfig, name: str, *, insecure: bool) -> TlsFiles | None:
    """The certificate to call the agents of a configuration with; None: without TLS, on loopback.

    Raises SecurityError where the configuration has neither, or where an address is not on loopback.
    """
    addresses = [agent.address for agent in config.agents]
    return choose_files(None if config.tls is None else Path(config.tls), name, insecure, addresses)


def dial_of(agent: AgentConfig, files: TlsFiles | None) -> Dial:
    """How an agent is reached."""

    def credentials() -> grpc.ChannelCredentials:
        assert files is not None
        return client_credentials(files)

    return Dial(agent.id, agent.address, None if files is None else credentials)
