"""The shell of a debug image, on the virtio console. Faults are caused through it; what is delivered has none."""

import re
import socket
import time
from pathlib import Path

from gantry_rig.serial import Serial

PROMPT = b"# "
END = "__END__"


class Shell:
    """A connection to the shell; lost and made anew when the box restarts."""

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

    def answers(self) -> bool:
        """Whether a shell is there."""
        try:
            return self.run("echo here", 3).strip() == "here"
        except (TimeoutError, OSError):
            return False

    def reconnect(self, serial: Serial, limit: float = 120) -> None:
        """Waits until a shell answers, after the box was switched on or restarted."""
        self.close()
        serial.until("the debug shell answers", limit, self.answers)

    def send(self, command: str) -> None:
        """Types a command and does not wait."""
        self._connected().sendall(f"{command}\n".encode())

    def run(self, command: str, limit: float = 30) -> str:
        """What a command prints. Its end is marked by a word that the echo of the typed line does not hold."""
        line, mark = self._connected(), f"{time.monotonic_ns():x}"
        line.sendall(f'{command}\necho "{mark}""{END}$?"\n'.encode())
        end, got = time.monotonic() + limit, b""
        pattern = re.compile(rf"{mark}{END}([0-9]+)".encode())
        while time.monotonic() < end:
            try:
                got += line.recv(65536)
            except TimeoutError:
                continue
            if pattern.search(got):
                return self._printed(got.decode(errors="replace"), command, mark)
        raise TimeoutError(f"{command!r} printed only {got[-500:]!r}")

    @staticmethod
    def _printed(text: str, command: str, mark: str) -> str:
        lines = text.replace("\r", "").split("\n")
        kept = [line for line in lines if mark not in line and not line.removeprefix("# ").endswith(command)]
        return "\n".join(line.removeprefix("# ") for line in kept).strip()
