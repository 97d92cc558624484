"""Ports that are free for now. The kernel hands out ephemeral ones in a circle, so that nobody else gets them soon."""

import random
import socket
from contextlib import ExitStack

TRIES = 64
MEDIA = range(40000, 50000)
"""Where a gateway has its media unless it is told otherwise; its signalling has the ports below."""


def free_port() -> int:
    """A port of loopback that is free for UDP and TCP."""
    for _ in range(TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free for UDP and TCP")


def free_range(count: int) -> range:
    """As many UDP ports in a row that the gateway's media may use, the first one even."""
    for _ in range(TRIES):
        first = random.randrange(MEDIA.start, MEDIA.stop - count, 2)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return range(first, first + count)
    raise OSError(f"no {count} ports in a row are free")
