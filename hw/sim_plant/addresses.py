"""Where the simulated plant may be, and how large its messages may become."""

from __future__ import annotations

import ipaddress

from hw.sim_plant.errors import PlantError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # sixty samples of a large network behind one agent
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


def check_local(address: str) -> None:
    """Raise PlantError for an address that others can reach."""
    host = address.removeprefix("ipv4:").removeprefix("ipv6:").rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise PlantError(
            f"{address}: the simulated plant listens on unix:PATH or a loopback address alone, such as 127.0.0.1:0"
        )
