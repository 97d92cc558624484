"""A stick that installs a box: onto the disk it was told of and no other, into the right box and no other."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gantry_rig.disk import Disk, Image
from gantry_rig.installer import FIRMWARE, Drive, Machine, Stick
from gantry_rig.ports import free_port
from gantry_rig.sip import Place, options
from suites.conftest import RIG, TARGET

LIMIT = 600
"""Seconds of the clock for an installation without hardware help."""
REFUSAL = 180
"""Seconds of the clock for a start that ends in a refusal."""
LARGER = 512 << 20
SERIAL, OTHER = "TARGET0001", "OTHER0001"
ORDER = f'[disk]\nserial = "{SERIAL}"\nat_least_gib = 1\n'


@dataclass
class Bench:
    """Where a box is put together for one test."""

    board: str
    folder: Path
    image: Image
    machines: list[Machine] = field(default_factory=list)

    def stick(self, order: str | None) -> Stick:
        """A fresh stick."""
        stick = Stick.of(TARGET / "image" / self.board / "installer.img", self.folder / "stick.img")
        if order is not None:
            stick.order(order)
        return stick

    def target(self) -> Drive:
        """A blank disk that is larger than the image."""
        size = (self.image.built / "disk.img").stat().st_size
        return Drive.blank(self.folder / "target.img", SERIAL, size + LARGER)

    def bystander(self, serial: str = OTHER) -> Drive:
        """A disk that nobody may touch: as large as the target, with partitions of the same names, and used.

        Its table is whole: firmware mends one that is not, before anything of ours runs.
        """
        drive = Drive.blank(self.folder / "bystander.img", serial, self.target().path.stat().st_size)
        table = subprocess.run(
            ["sfdisk", "--dump", self.image.built / "disk.img"], check=True, capture_output=True, text=True
        ).stdout
        lines = [line for line in table.splitlines() if not line.startswith(("last-lba", "device"))]
        subprocess.run(["sfdisk", "--quiet", drive.path], check=True, input="\n".join(lines), text=True)
        with drive.path.open("r+b") as file:
            for part in self.image.about["partitions"]:
                file.seek(part["start"])
                file.write(os.urandom(1 << 16))
        return drive

    def start(self, drives: list[Drive], stick: Stick | None, *more: str) -> Machine:
        """Switches a box on."""
        machine = Machine(self.board, self.folder, drives, stick, ("-smbios", "type=1,serial=GX0042", *more))
        self.machines.append(machine)
        return machine


@pytest.fixture
def bench(board: str, release: Image) -> Iterator[Bench]:
    """An empty one."""
    if board not in FIRMWARE:
        pytest.skip(f"{board} is no virtual board: a stick is put into it by hand")
    folder = RIG / "installer"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    bench = Bench(board, folder, release)
    yield bench
    for machine in bench.machines:
        machine.close()


def untouched(drive: Drive) -> bool:
    """Whether nothing at all is on a disk that was blank."""
    with drive.path.open("rb") as file:
        return all(not block.strip(b"\0") for block in iter(lambda: file.read(1 << 22), b""))


def test_a_stick_installs_the_one_disk_it_was_told_of_and_that_disk_starts(
    bench: Bench, figures: dict[str, str]
) -> None:
    bystander, target, stick = bench.bystander(), bench.target(), bench.stick(ORDER)
    before = bystander.digest()
    begun = time.monotonic()

    machine = bench.start([bystander, target], stick)
    machine.expect(r"this disk is written: \S+  serial " + SERIAL, REFUSAL)
    machine.expect("reading back 100 %", LIMIT)
    machine.expect("installer: done", LIMIT)
    seconds = machine.cpu_seconds()
    said = machine.ends(60)

    figures["a stick installs a disk"] = (
        f"{seconds:.0f} s of QEMU's processor time, {time.monotonic() - begun:.0f} s of the clock"
    )
    assert re.search("writing 50 %", said), "no progress was shown"
    assert bystander.digest() == before, "a disk was touched that nobody named"
    label = stick.read("labels/GX0042/label.txt")
    assert re.search(r"^S/N +GX0042$", label, re.MULTILINE), label
    code = re.search(r"^Claim +(\d{4}-\d{4})$", label, re.MULTILINE)
    assert code is not None, label
    assert code[1] in said, "the label on the stick is not the one that was shown"
    disk = Disk(bench.image, target.path)
    assert disk.read("identity/serial") == "GX0042\n"
    claim = disk.read("identity/claim")
    assert re.fullmatch(r"[0-9a-f]{64} [0-9a-f]{64}\n", claim), claim
    assert code[1].replace("-", "") not in claim

    bench.machines[-1].log.rename(bench.folder / "installation.log")
    port = free_port()
    network = f"user,id=lan0,hostfwd=udp:127.0.0.1:{port}-:5060"
    box = bench.start([target], None, "-netdev", network, "-device", "igb,bus=rp0,netdev=lan0")
    end = time.monotonic() + LIMIT
    while options(Place("127.0.0.1", port, "10.0.2.2")) is None:
        assert time.monotonic() < end, f"the installed box does not answer:\n{box.said()[-2000:]}"
        assert box.process.poll() is None, box.said()[-2000:]
    figures["first OPTIONS of the installed box"] = f"{box.cpu_seconds():.1f} s of QEMU's processor time"


def test_a_box_that_the_image_is_not_for_is_refused(bench: Bench) -> None:
    target, stick = bench.target(), bench.stick(ORDER)

    machine = bench.start([target], stick, "-smbios", "type=1,product=Toaster")

    said = machine.expect('installer: nothing was written: this box is "Toaster"', REFUSAL)
    assert bench.board in said
    machine.close()
    assert untouched(target)


def test_a_stick_that_names_no_disk_shows_them_and_writes_nothing(bench: Bench) -> None:
    target, stick = bench.target(), bench.stick(None)

    machine = bench.start([target], stick)

    said = machine.expect("installer: nothing was written: install.toml names no disk", REFUSAL)
    assert re.search(rf"disk vda  serial {SERIAL}  path pci-\S+ .* blank", said), said
    assert re.search(r"disk sda  .* this stick", said), said
    machine.close()
    assert untouched(target)


def test_a_rule_that_fits_two_disks_writes_neither(bench: Bench) -> None:
    target = bench.target()
    other = Drive.blank(bench.folder / "other.img", OTHER, target.path.stat().st_size)

    machine = bench.start([target, other], bench.stick("[disk]\nat_least_gib = 1\n"))

    machine.expect("nothing was written: install.toml fits vda and vdb", REFUSAL)
    machine.close()
    assert untouched(target)
    assert untouched(other)


def test_a_disk_that_has_something_on_it_is_left_unless_the_order_says_it_may_be_lost(bench: Bench) -> None:
    used = bench.bystander(SERIAL)
    before = used.digest()

    machine = bench.start([used], bench.stick(ORDER))

    machine.expect("nothing was written: vda has something on it", REFUSAL)
    machine.close()
    assert used.digest() == before


def test_a_stick_that_is_damaged_writes_nothing(bench: Bench) -> None:
    target, stick = bench.target(), bench.stick(ORDER)
    size = stick.path.stat().st_size
    with stick.path.open("r+b") as file:
        file.seek(size * 3 // 4)
        file.write(os.urandom(8192))

    machine = bench.start([target], stick)

    machine.expect("nothing was written: this stick is damaged", REFUSAL)
    machine.close()
    assert untouched(target)
