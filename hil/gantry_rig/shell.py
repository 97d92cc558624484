"""The shell of a debug image, on the virtio console. Faults are caused through it; what is delivered has none."""

import re
import socket
import time
from pathlib import Path

from gantry_rig.serial import ESCAPES, Serial

QUIET = 'stty -echo; export SYSTEMD_PAGER=cat SYSTEMD_COLORS=0; while read -r line; do eval "$line"; done'
"""A shell that edits no lines, repeats nothing and asks for nothing."""
GREETING = 3
"""Seconds in which a shell that is there answers."""


class Shell:
    """A connection to the shell; made anew when the box restarts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket: socket.socket | None = None

    def _connected(self) -> socket.socket:
        if self.socket is None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(self.path))
            self.socket.settimeout(0.2)
        return self.socket

    def close(self) -> None:
        """Lets go of the line."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def reconnect(self, serial: Serial, limit: float = 120) -> None:
        """Waits until a shell answers, after the box was switched on or restarted."""
        self.close()
        serial.until("the debug shell answers", limit, self._answers)
        self.send(QUIET)
        serial.until("the debug shell is quiet", limit, self._answers)

    def _answers(self) -> bool:
        try:
            return "here" in self.run("echo here", GREETING)
        except (TimeoutError, OSError):
            return False

    def send(self, command: str) -> None:
        """Types a command and does not wait."""
        self._connected().sendall(f"{command}\n".encode())

    def run(self, command: str, limit: float = 30) -> str:
        """What a command prints. Its end is marked by a word that the typed line does not hold."""
        line, mark = self._connected(), f"{time.monotonic_ns():x}"
        line.sendall(f'{command}\necho "<{mark}"">"\n'.encode())
        end, got = time.monotonic() + limit, ""
        while time.monotonic() < end:
            try:
                got += line.recv(65536).decode(errors="replace")
            except TimeoutError:
                continue
            printed, found, _ = got.partition(f"<{mark}>")
            if found:
                return re.sub(ESCAPES, "", printed).replace("\r", "").strip()
        raise TimeoutError(f"{command!r} printed only {got[-500:]!r}")
