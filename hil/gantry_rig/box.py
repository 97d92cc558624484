"""What a rig must do with a box beside power and console: give it a disk, reach its network. Two ways, one protocol."""

import abc
import shutil
import subprocess
from pathlib import Path

import attr
from labgrid import target_factory
from labgrid.driver import Driver, QEMUDriver, USBSDMuxDriver, USBStorageDriver
from labgrid.resource import NetworkService

from gantry_rig.disk import Disk
from gantry_rig.ports import free_port, free_range
from gantry_rig.sip import Place

SIP = 5060
HTTPS = 443
INSIDE, OUTSIDE = "10.0.2.15", "10.0.2.2"
"""The box and this machine in QEMU's user network, which hands out the first to who asks by DHCP."""
MEDIA_PORTS = 24


class BoxProtocol(abc.ABC):
    """A box in a rig."""

    @abc.abstractmethod
    def insert(self, disk: Disk) -> None:
        """Puts a disk into a box that is off; it is a new box from then on."""

    @abc.abstractmethod
    def before_on(self) -> None:
        """Makes ready what the box needs when it is switched on."""

    @abc.abstractmethod
    def after_on(self) -> None:
        """Connects what can only be connected to a box that is on."""

    @abc.abstractmethod
    def place(self) -> Place:
        """Where the box takes SIP."""

    @abc.abstractmethod
    def web(self) -> tuple[str, int]:
        """Where the box serves its page."""

    @property
    @abc.abstractmethod
    def public(self) -> str | None:
        """What the gateway must call itself, if not by its own address."""

    @property
    @abc.abstractmethod
    def media(self) -> range | None:
        """The ports that media must go through, if not any."""


@target_factory.reg_driver
@attr.s(eq=False)
class VirtualBox(Driver, BoxProtocol):
    """A box in QEMU: firmware variables, TPM and sockets stand in `folder`, where the disk is as well.

    Its first network is QEMU's user network: ports of loopback are forwarded to it, and it reaches us as OUTSIDE.
    """

    bindings = {"qemu": QEMUDriver}  # noqa: RUF012
    folder = attr.ib(validator=attr.validators.instance_of(str))
    variables = attr.ib(validator=attr.validators.instance_of(str))
    tpm = attr.ib(default="tpm-crb", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.sip = free_port()
        self.https = free_port()
        self.media_ports = free_range(MEDIA_PORTS)
        self.forwarded = False
        self.swtpm: subprocess.Popen | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)

    def insert(self, disk: Disk) -> None:
        assert disk.path == self.path / "disk.img", f"QEMU starts from {self.path / 'disk.img'}"
        self.path.mkdir(parents=True, exist_ok=True)
        self.new_firmware(Path(self.variables))
        self.new_tpm()

    def new_firmware(self, variables: Path) -> None:
        """The firmware remembers nothing but what stands in this file."""
        shutil.copyfile(variables, self.path / "vars.fd")

    def new_tpm(self) -> None:
        """Another TPM, which knows nothing, in a box that is off."""
        shutil.rmtree(self.path / "tpm", ignore_errors=True)

    def before_on(self) -> None:
        state = self.path / "tpm"
        state.mkdir(exist_ok=True)
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "startup-clear"]
        command += ["--ctrl", f"type=unixio,path={self.path}/tpm.sock", "--terminate"]
        (self.path / "tpm.sock").unlink(missing_ok=True)
        self.swtpm = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def after_on(self) -> None:
        if self.forwarded:
            return
        self.forwarded = True
        forward = self.qemu.add_port_forward
        for protocol in ("udp", "tcp"):
            forward(protocol, "127.0.0.1", self.sip, "", SIP, "lan0")
        forward("tcp", "127.0.0.1", self.https, "", HTTPS, "lan0")
        for port in self.media_ports:
            forward("udp", "127.0.0.1", port, "", port, "lan0")

    def off(self) -> None:
        """Notes that a box that switched itself off is off, and lets its TPM end."""
        child = self.qemu._child
        if child is not None and child.poll() is not None:
            self.qemu._child, self.qemu.status = None, 0

    def after_off(self) -> None:
        """The TPM ends with the box, or is ended if the box never came to it."""
        if self.swtpm is not None:
            self.swtpm.terminate()
            self.swtpm.wait()
            self.swtpm = None

    def cpu_seconds(self) -> float:
        """Processor time that QEMU took so far, which does not depend on who else is at work here."""
        words = Path(f"/proc/{self.qemu._child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / 100

    def place(self) -> Place:
        return Place("127.0.0.1", self.sip, OUTSIDE)

    def web(self) -> tuple[str, int]:
        return "127.0.0.1", self.https

    @property
    def public(self) -> str | None:
        return INSIDE

    @property
    def media(self) -> range | None:
        return self.media_ports


@target_factory.reg_driver
@attr.s(eq=False)
class BenchBox(Driver, BoxProtocol):
    """A real box: its disk is a card in a USB-SD-mux, its address stands in the environment, as does ours."""

    bindings = {"mux": USBSDMuxDriver, "card": USBStorageDriver, "network": NetworkService}  # noqa: RUF012
    ours = attr.ib(validator=attr.validators.instance_of(str))

    def insert(self, disk: Disk) -> None:
        for driver in (self.mux, self.card):
            self.target.activate(driver)
        self.mux.set_mode("host")
        self.card.write_image(str(disk.path))
        self.mux.set_mode("dut")

    def before_on(self) -> None:
        """Nothing is needed."""

    def after_on(self) -> None:
        """Nothing is needed."""

    def place(self) -> Place:
        return Place(self.network.address, self.network.port or SIP, self.ours)

    def web(self) -> tuple[str, int]:
        return self.network.address, HTTPS

    @property
    def public(self) -> str | None:
        return None

    @property
    def media(self) -> range | None:
        return None
