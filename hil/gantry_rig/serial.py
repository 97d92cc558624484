"""The serial console, as somebody sits before it. Everything that came is kept, so that a failure can be read."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from labgrid.protocol import ConsoleProtocol
from pexpect import TIMEOUT

T = TypeVar("T")

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-Za-z]|[@-Z\\-_=>])")
"""What a terminal does not show."""

GLANCE = 0.2
"""Seconds that one look at the line takes at most."""

STILL = 10
"""No check takes so many seconds: if one did, the machine under the rig stood still, and that time does not count."""


class Late(AssertionError):
    """Something did not come to pass in time."""


class Serial:
    """A line that is read whenever somebody waits for anything, so that the box never waits for a reader."""

    def __init__(self, console: ConsoleProtocol, log: Path) -> None:
        self.console = console
        self.log = log
        self.text = ""
        """All that came since the box was switched on, without escapes."""
        self.raw: list[bytes] = []
        """What came and nobody took with `take`."""
        self.begun = 0

    def glance(self, limit: float = GLANCE) -> bytes:
        """Reads what comes within `limit` seconds."""
        try:
            data: bytes = self.console.read(size=4096, timeout=limit, max_size=4096)
        except (TIMEOUT, OSError):
            return b""
        if data:
            with self.log.open("ab") as log:
                log.write(data)
            self.raw.append(data)
            self.text += ESCAPES.sub("", data.decode(errors="replace")).replace("\r", "")
        return data

    def take(self) -> bytes:
        """The bytes that came since the last time."""
        data, self.raw = b"".join(self.raw), []
        return data

    def until(self, what: str, limit: float, check: Callable[[], T | None]) -> T:
        """Waits until `check` gives something that is true, and gives it back."""
        now = time.monotonic()
        end = now + limit
        while True:
            before, found = now, check()
            if found:
                return found
            now = time.monotonic()
            if now - before > STILL:
                end += now - before
            if now > end:
                raise Late(f"{what}: not within {limit:.0f} s; the serial console ended with:\n{self.text[-1500:]}")
            if not self.glance():
                # A line that was hung up gives nothing at once.
                time.sleep(GLANCE / 4)

    def expect(self, pattern: str, limit: float = 30) -> str:
        """Waits until what came since the last `send` or `expect` matches `pattern`; what stood before comes back."""

        def found() -> tuple[str] | None:
            match = re.search(pattern, self.text[self.begun :])
            if match is None:
                return None
            before = self.text[self.begun : self.begun + match.start()]
            self.begun += match.end()
            return (before,)

        return self.until(f"the serial console says {pattern!r}", limit, found)[0]

    def type(self, keys: str) -> None:
        """Types keys."""
        self.console.write(keys.encode())

    def line(self, text: str) -> None:
        """Types a line; what is expected next comes after it."""
        self.begun = len(self.text)
        self.type(text + "\r")

    def forget(self) -> None:
        """The box is switched on anew."""
        self.text, self.raw, self.begun = "", [], 0
