"""How a box gets from one state to the next.

off ─▶ booted (answers SIP) ─▶ claimed (has an owner) ─▶ configured (address, name and servers stand)
"""

import enum
import re
from pathlib import Path

import attr
from labgrid import target_factory
from labgrid.protocol import ConsoleProtocol, PowerProtocol
from labgrid.strategy import Strategy, StrategyError

from gantry_rig.box import BoxProtocol, VirtualBox
from gantry_rig.disk import Disk
from gantry_rig.serial import Serial
from gantry_rig.sip import options

PASSWORD = "correct horse battery"
BOOT = 300
"""Seconds of the clock that a start may take where there is no hardware help."""
ASKED = 60
"""Seconds that an answer on the serial console may take."""
CHOOSE = r"choose \(a number"


class Status(enum.Enum):
    """Where a box stands."""

    unknown = 0
    off = 1
    booted = 2
    claimed = 3
    configured = 4


@target_factory.reg_driver
@attr.s(eq=False)
class GantryStrategy(Strategy):
    """Switches, claims and configures a box. Settings are those of the rig's network, given in the environment."""

    bindings = {"power": PowerProtocol, "console": ConsoleProtocol, "box": BoxProtocol}  # noqa: RUF012
    address = attr.ib(validator=attr.validators.instance_of(str))
    gateway = attr.ib(validator=attr.validators.instance_of(str))
    dns = attr.ib(validator=attr.validators.instance_of(str))
    time = attr.ib(validator=attr.validators.instance_of(str))
    log = attr.ib(validator=attr.validators.instance_of(str))
    host_name = attr.ib(default="rack-7", validator=attr.validators.instance_of(str))
    status = attr.ib(default=Status.unknown)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        Path(self.log).parent.mkdir(parents=True, exist_ok=True)
        self.serial = Serial(self.console, Path(self.log))
        self.disk: Disk | None = None

    def insert(self, disk: Disk) -> None:
        """Puts this disk into the box, which is off then."""
        self.transition(Status.off)
        self.box.insert(disk)
        self.disk = disk

    def transition(self, status: Status | str) -> None:
        """Brings the box to `status`, through all that lie between."""
        wanted = Status[status] if isinstance(status, str) else status
        if wanted == self.status:
            return
        match wanted:
            case Status.off:
                self._switch_off()
            case Status.booted:
                if self.status in (Status.unknown, Status.off):
                    self.switch_on()
                    self.in_service(BOOT)
                    self.status = Status.booted
            case Status.claimed:
                if self.status == Status.configured:
                    return
                self.transition(Status.booted)
                self._claim()
                self.status = Status.claimed
            case Status.configured:
                self.transition(Status.claimed)
                self._configure()
                self.status = Status.configured
            case Status.unknown:
                raise StrategyError("nobody can bring a box to an unknown state")

    def force(self, status: Status | str) -> None:
        """Takes it that the box is in this state already."""
        for driver in (self.power, self.console, self.box):
            self.target.activate(driver)
        self.status = Status[status] if isinstance(status, str) else status

    def _switch_off(self) -> None:
        for driver in (self.power, self.console, self.box):
            self.target.activate(driver)
        if isinstance(self.box, VirtualBox):
            self.box.off()
        self.power.off()
        if isinstance(self.box, VirtualBox):
            self.box.after_off()
        self.status = Status.off

    def switch_on(self) -> None:
        """Switches the box on and waits for nothing."""
        self.transition(Status.off)
        self.serial.forget()
        self.box.before_on()
        self.power.on()
        self.box.after_on()
        self.status = Status.unknown

    def in_service(self, limit: float) -> str:
        """Waits until the gateway answers SIP; the status line it answers with."""
        place = self.box.place()
        return self.serial.until("the gateway answers OPTIONS", limit, lambda: options(place))

    def out_of_service(self, limit: float) -> None:
        """Waits until the gateway answers no more."""
        place = self.box.place()
        self.serial.until("the gateway is gone", limit, lambda: options(place) is None)

    def _claim(self) -> None:
        assert self.disk is not None, "insert a disk first; its label has the claim code"
        serial = self.serial
        serial.expect(r"The code on its label \(8 digits, on the box's label\):", ASKED)
        serial.line(self.disk.image.label["Claim"])
        serial.expect(r"New administrator password \(.*\):", ASKED)
        serial.line(PASSWORD)
        serial.expect(r"The same again \(.*\):", ASKED)
        serial.line(PASSWORD)
        serial.expect(r"== Which interface", ASKED)

    def _configure(self) -> None:
        """Answers the first set-up, which follows the claim. Each answer is for the question on the screen."""
        serial = self.serial
        before = serial.expect(CHOOSE, ASKED)
        (number,) = re.findall(r"^ *([0-9]+)  lan0 ", before, re.MULTILINE)
        serial.line(number)
        answers = [
            (r"IPv4 address of lan0 \(.*\].*:", self.address),
            (r"Gateway \(.*:", self.gateway),
            (r"DNS servers \(.*:", self.dns),
            (r"Time servers \(.*:", self.time),
            (r"Host name \(.*:", self.host_name),
        ]
        for question, answer in answers:
            serial.expect(question, ASKED)
            serial.line(answer)
        difference = serial.expect(CHOOSE, ASKED)
        assert f"-> {self.host_name}" in difference, f"the difference does not show the host name:\n{difference}"
        self.choose(difference, "Apply now")
        trial = serial.expect(CHOOSE, ASKED)
        self.in_service(ASKED)
        self.choose(trial, "Confirm")
        serial.expect(r"The change stands\.", ASKED)

    def choose(self, shown: str, entry: str) -> None:
        """Takes the entry of a menu that was shown, by its number."""
        numbers = re.findall(rf"^ *([0-9]+)  {re.escape(entry)}", shown, re.MULTILINE)
        assert numbers, f"{entry!r} is not among:\n{shown}"
        self.serial.line(numbers[-1])

    def command(self, line: str) -> str:
        """What the serial console answers to a command typed at its menu."""
        self.serial.line("")
        self.serial.expect(rf"{CHOOSE}.*>|>", ASKED)
        self.serial.line(line)
        return self.serial.expect(r"(gantry>|back>|command\)>)", ASKED)
