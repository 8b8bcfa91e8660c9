"""How an agent is reached, and what may go wrong.

::

    AgentError
      AgentUnreachable   retryable: no answer in time, or no connection
      AgentRefused       permanent: the agent answered and refuses; the same request fails again
        NotThere         it has none of what was named
        CertificateRefused   not with the certificate of this channel; a new channel takes up a renewed one
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc
import grpc.aio

from hw.adapters.wire import MAX_MESSAGE_BYTES, ContractError
from hw.security.credentials import agent_channel_options

KEEPALIVE_MS = 10_000
KEEPALIVE_TIMEOUT_MS = 5_000
_PERMANENT = {
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
}


class AgentError(Exception):
    """A call to an agent did not succeed. The message names the agent and a remedy."""


class AgentUnreachable(AgentError):  # noqa: N818 - says what is so, not that it is an error
    """No connection, or no answer in time."""


class AgentRefused(AgentError):  # noqa: N818
    """The agent refuses the request."""


class NotThere(AgentRefused):
    """The agent has none of the cells or sites that were named."""


class CertificateRefused(AgentRefused):
    """The certificate that the channel was opened with has ended, is revoked or names nobody."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Where an agent listens, and with what credentials it is called.

    ``credentials`` is asked anew for each channel, so that replaced certificates take effect with the next one; None:
    no TLS, for loopback only.
    """

    agent_id: str
    address: str
    credentials: Callable[[], grpc.ChannelCredentials] | None = None

    def open(self) -> grpc.aio.Channel:
        """A new channel. With TLS, the server's certificate must name the agent.

        Raises AgentUnreachable if the credentials cannot be read.
        """
        options: list[tuple[str, str | int]] = [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            (
                "grpc.use_local_subchannel_pool",
                1,
            ),  # no connection, and no pause of a failed one, is inherited
            ("grpc.enable_retries", 0),  # what may be retried is decided here
        ]
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address, options=options)
        options += agent_channel_options(self.agent_id)
        try:
            credentials = self.credentials()
        except (
            OSError,
            ValueError,
        ) as error:  # a certificate that is being replaced; the next channel asks again
            raise AgentUnreachable(f"agent {self.agent_id} at {self.address}: {error}") from error
        return grpc.aio.secure_channel(self.address, credentials, options=options)

    def error(self, cause: grpc.RpcError | TimeoutError) -> AgentError:
        """``cause``, said in terms of the agent."""
        where = f"agent {self.agent_id} at {self.address}"
        if isinstance(cause, grpc.aio.AioRpcError):
            code, details = cause.code(), cause.details() or "no details"
            if code is grpc.StatusCode.NOT_FOUND:
                return NotThere(f"{where}: {details}")
            if code is grpc.StatusCode.UNAUTHENTICATED:
                return CertificateRefused(f"{where} refuses: {details} ({code.name})")
            if code in _PERMANENT:
                return AgentRefused(f"{where} refuses: {details} ({code.name})")
            return AgentUnreachable(f"{where} is not reached: {details} ({code.name})")
        return AgentUnreachable(f"{where} did not answer in time; check that it runs and is not overloaded")

    def broken(self, cause: ContractError) -> AgentRefused:
        """``cause``, a message outside the contract, said of the agent."""
        where = f"agent {self.agent_id} at {self.address}"
        return AgentRefused(f"{where} breaks the contract: {cause}; check its version")
