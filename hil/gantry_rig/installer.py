"""A box that is started from an installer's stick: the stick on USB, and as many disks as a test wants."""

import hashlib
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ESP = 1 << 20
"""Where a stick's first partition begins."""
LOOK = 0.2
"""Seconds between two looks at what the serial console said."""
FIRMWARE = {
    "qemu-x86_64": (
        "qemu-system-x86_64",
        "q35",
        "max",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    "qemu-aarch64": (
        "qemu-system-aarch64",
        "virt",
        "cortex-a72",
        "/usr/share/AAVMF/AAVMF_CODE.fd",
        "/usr/share/AAVMF/AAVMF_VARS.fd",
    ),
}


@dataclass
class Stick:
    """A copy of `installer.img`."""

    path: Path

    @classmethod
    def of(cls, installer: Path, path: Path) -> "Stick":
        """A fresh one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", installer, path], check=True)
        return cls(path)

    def order(self, text: str) -> None:
        """Writes `install.toml`, as somebody does who has the stick in a laptop."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            subprocess.run(["mcopy", "-o", "-i", f"{self.path}@@{ESP}", file.name, "::install.toml"], check=True)

    def read(self, name: str) -> str:
        """A file that the installer left."""
        asked = ["mcopy", "-i", f"{self.path}@@{ESP}", f"::{name}", "-"]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Drive:
    """A disk with its own serial number, as its maker gave it."""

    path: Path
    serial: str

    @classmethod
    def blank(cls, path: Path, serial: str, size: int) -> "Drive":
        """A new one."""
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
        return cls(path, serial)

    def digest(self) -> str:
        """The hash of everything on it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class Machine:
    """QEMU with these disks; `bootindex` follows their order, the stick's is first."""

    def __init__(
        self, board: str, folder: Path, drives: list[Drive], stick: Stick | None, more: tuple[str, ...] = ()
    ) -> None:
        program, machine, cpu, code, variables = FIRMWARE[board]
        self.log = folder / "serial.log"
        copied = folder / "vars.fd"
        copied.write_bytes(Path(variables).read_bytes())
        command = [program, "-M", machine, "-cpu", cpu, "-m", "1024", "-accel", "tcg,thread=multi", "-display", "none"]
        command += ["-monitor", "none", "-parallel", "none", "-serial", f"file:{self.log}", "-nodefaults"]
        command += ["-drive", f"if=pflash,format=raw,readonly=on,file={code}"]
        command += ["-drive", f"if=pflash,format=raw,file={copied}"]
        command += ["-device", "pcie-root-port,id=rp0,chassis=1,addr=10"]
        command += ["-device", "i6300esb", "-action", "watchdog=reset", "-device", "qemu-xhci,id=usb"]
        for index, drive in enumerate(drives):
            command += ["-drive", f"if=none,id=disk{index},format=raw,file={drive.path}"]
            device = f"virtio-blk-pci,drive=disk{index},serial={drive.serial},addr={8 + index},bootindex={1 + index}"
            command += ["-device", device]
        if stick is not None:
            command += ["-drive", f"if=none,id=stick,format=raw,file={stick.path}"]
            command += ["-device", "usb-storage,bus=usb.0,drive=stick,serial=STICK,bootindex=0"]
        self.process = subprocess.Popen([*command, *more])

    def said(self) -> str:
        """What the serial console said so far."""
        return self.log.read_text(errors="replace").replace("\r", "") if self.log.exists() else ""

    def expect(self, pattern: str, limit: float) -> str:
        """Waits until the serial console said `pattern`; all it said comes back."""
        end = time.monotonic() + limit
        while not re.search(pattern, self.said()):
            assert self.process.poll() is None, f"the machine ended before {pattern!r}:\n{self.said()[-2000:]}"
            assert time.monotonic() < end, f"no {pattern!r} within {limit:.0f} s:\n{self.said()[-2000:]}"
            time.sleep(LOOK)
        return self.said()

    def ends(self, limit: float) -> str:
        """Waits until the machine switched itself off; all it said comes back."""
        self.process.wait(limit)
        return self.said()

    def cpu_seconds(self) -> float:
        """Processor time of QEMU so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / 100

    def close(self) -> None:
        """Pulls the plug."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
