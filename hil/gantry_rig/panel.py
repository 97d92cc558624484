"""The front panel: a display, lamps and keys in the box's USB socket, played by the program `front_panel`.

The box drives them as it drives real ones: a CP2112 bridge, an HD44780 behind I2C, keys on GPIO lines.
"""

import selectors
import subprocess
from pathlib import Path

from gantry_rig.serial import Serial

HELD = 400
"""Milliseconds that a key is down: a box without hardware help looks at its keys some ten times a second."""
SHOWN = 20
"""Seconds within which a key shows."""
BEGINNINGS = ("192.168.000.010", "010.000.000.010", "172.016.000.010", "any")
FIXED = {"192.168.000.010": 6, "010.000.000.010": 3, "172.016.000.010": 3, "any": 0}
"""How an address may begin, and the first digit that leaves open."""


class Panel:
    """A panel that is plugged in, and how often its keys were pressed."""

    def __init__(self, program: Path, socket: Path, serial: Serial) -> None:
        self.serial = serial
        command = [program, "--usb", socket]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.rows = ["", "", "", ""]
        self.lamps: dict[str, str] = {}
        self.faults: list[str] = []
        self.pressed = 0
        self.released = 0
        self.unread = b""

    def close(self) -> None:
        """Pulls it out."""
        self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def look(self) -> list[str]:
        """The four rows, as they are now."""
        out = self.process.stdout
        assert out is not None
        while self.selector.select(0):
            data = out.read1(65536)  # type: ignore[attr-defined]
            assert data, "the front panel's program ended"
            *lines, self.unread = (self.unread + data).split(b"\n")
            for line in lines:
                self._told(line.decode())
        return self.rows

    def _told(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        match kind:
            case "screen":
                self.rows = rest.strip("|").split("|")
            case "lamp":
                name, _, state = rest.partition(" ")
                self.lamps[name] = state
            case "released":
                self.released += 1
            case "fault":
                self.faults.append(rest)

    def wait(self, text: str, limit: float) -> list[str]:
        """Waits until a row holds `text`."""

        def shown() -> list[str] | None:
            rows = self.look()
            return list(rows) if any(text in row for row in rows) else None

        return self._until(f"the panel shows {text!r}", limit, shown)

    def _until(self, what: str, limit: float, check: object) -> list[str]:
        try:
            return self.serial.until(what, limit, check)  # type: ignore[arg-type]
        except AssertionError as error:
            raise AssertionError(f"{what}: it shows {self.rows}") from error

    def press(self, key: str) -> list[str]:
        """Presses a key and waits until the display shows it; what it shows then."""
        before = list(self.look())
        assert self.process.stdin is not None
        self.process.stdin.write(f"press {key} {HELD}\n".encode())
        self.process.stdin.flush()
        self.pressed += 1

        def changed() -> list[str] | None:
            rows = self.look()
            return list(rows) if rows != before else None

        return self._until(f"{key} changes the display", SHOWN, changed)

    def turn(self, key: str, count: int) -> None:
        """Presses a key some times."""
        for _ in range(count):
            self.press(key)

    def choose(self, label: str) -> None:
        """Takes one of some words, whose row begins with `label`."""
        for _ in range(8):
            if self.look()[2].startswith(f">{label}"):
                self.press("select")
                return
            self.press("down")
        raise AssertionError(f"{label!r} is not offered; the panel shows {self.rows}")

    def digits(self, wanted: str, first: int) -> None:
        """Keys a row of digits in, from the digit `first` on; dots stand between threes of an address."""
        for at in range(first, len(wanted)):
            if wanted[at] == ".":
                continue
            for _ in range(10):
                shown = self.look()[2]
                if shown[at] == wanted[at]:
                    break
                up = (int(wanted[at]) - int(shown[at])) % 10
                self.press("up" if up <= 5 else "down")
            last = at == len(wanted) - 1
            if last:
                self.press("select")
            else:
                # The cursor moves, which the rows do not show.
                self._blind("select")

    def _blind(self, key: str) -> None:
        """Presses a key that moves the cursor only."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"press {key} {HELD}\n".encode())
        self.process.stdin.flush()
        self.pressed += 1
        self.settle()

    def settle(self) -> None:
        """Waits until the panel's program has held and let go of all keys it was told to press."""
        told = self.pressed

        def done() -> list[str] | None:
            self.look()
            return self.rows if self.released >= told else None

        self._until("the key is let go", SHOWN, done)

    def address(self, wanted: str, prefix: int) -> None:
        """Keys an address in, or takes it where it is offered."""
        if self.look()[2].rstrip() == f">{wanted}":
            self.press("select")
            return
        padded = ".".join(f"{int(part):03}" for part in wanted.split("."))
        if "begin" in self.rows[3]:
            fits = [
                begin for begin in BEGINNINGS[:3] if padded[: _shown(FIXED[begin])] == begin[: _shown(FIXED[begin])]
            ]
            begin = fits[0] if fits else "any"
            for _ in BEGINNINGS:
                if self.look()[2].startswith(f">{begin}"):
                    break
                self.press("up")
            self.press("select")
            self.digits(padded, _shown(FIXED[begin]))
        else:
            self.press("up")
            self.digits(padded, _shown(min(prefix, 24) // 8 * 3))


def _shown(digit: int) -> int:
    """Where the digit of this number stands in an address that is written out."""
    return digit + digit // 3
