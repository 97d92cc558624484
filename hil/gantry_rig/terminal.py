"""A VT100 of 80 by 24, as far as the box uses one: it says what it is, moves its cursor, and shows what is written."""

import re

from gantry_rig.serial import Serial

COLUMNS, ROWS = 80, 24
ANSWER = "\x1b[?1;0c"
TOKEN = re.compile(
    rb"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][0-9A-Za-z]|\x1b.|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f\x1b]+", re.DOTALL
)


class Terminal:
    """What somebody sees who sits before the serial port with a VT100."""

    def __init__(self, serial: Serial) -> None:
        self.serial = serial
        self.cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self.rest = b""
        serial.take()

    def wait(self, text: str, limit: float = 60) -> str:
        """Waits until the screen holds `text` and stays as it is for a moment; the screen."""
        seen: list[str] = [""]

        def settled() -> str | None:
            self._feed(self.serial.take())
            screen = self.text()
            before, seen[0] = seen[0], screen
            return screen if text in screen and screen == before else None

        return self.serial.until(f"the terminal shows {text!r}", limit, settled)

    def type(self, keys: str) -> None:
        """Types keys."""
        self.serial.type(keys)

    def text(self) -> str:
        """The screen, without blanks at the ends of its rows."""
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n")

    def _feed(self, data: bytes) -> None:
        data = self.rest + data
        cut = re.search(rb"\x1b(\[[0-9;?]*)?$", data)
        data, self.rest = (data[: cut.start()], data[cut.start() :]) if cut else (data, b"")
        for match in TOKEN.finditer(data):
            if match[2] is not None:
                self._control(match[1].decode(), match[2].decode())
            elif match[0][:1] >= b" ":
                self._write(match[0].decode(errors="replace"))
            elif match[0] == b"\r":
                self.column = 0
            elif match[0] == b"\n":
                self._down()
            elif match[0] == b"\b":
                self.column = max(self.column - 1, 0)

    def _write(self, text: str) -> None:
        for character in text:
            if self.column < COLUMNS:
                self.cells[self.row][self.column] = character
                self.column += 1

    def _down(self) -> None:
        if self.row + 1 < ROWS:
            self.row += 1
        else:
            self.cells = [*self.cells[1:], [" "] * COLUMNS]

    def _control(self, parameters: str, final: str) -> None:
        numbers = [int(number) for number in parameters.split(";") if number.isdigit()]
        match final:
            case "c" if not numbers:
                self.serial.type(ANSWER)
            case "H":
                row, column, *_ = [*numbers, 1, 1]
                self.row, self.column = min(row, ROWS) - 1, min(column, COLUMNS) - 1
            case "J":
                self.cells = [[" "] * COLUMNS for _ in range(ROWS)]
            case "K":
                self.cells[self.row][self.column :] = [" "] * (COLUMNS - self.column)
