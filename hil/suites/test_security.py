"""What is delivered is what was built, holds nothing that it does not need, and starts only if it is genuine."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid import Environment

from gantry_rig.disk import Disk, Image
from gantry_rig.root import Root, digest
from gantry_rig.serial import Late
from gantry_rig.shell import Shell
from gantry_rig.strategy import BOOT, GantryStrategy, Status
from suites.conftest import RIG, put_in

SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox", "toybox", "rbash"}
INTERPRETERS = re.compile(r"^(python|perl|ruby|lua|tclsh|awk|gawk|mawk|sed|node|php|gdb|strace|dpkg|apt)[0-9.-]*$")
OWNER = "6a1f0a7e-3a0c-4a5d-9f5e-00000000000a"
NOTHING = 2
"""Seconds in which somebody who is there would say something."""


@pytest.fixture(scope="module")
def root(release: Image, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The root that is delivered, unpacked."""
    return Root(release, tmp_path_factory.mktemp("root") / "root")


def test_a_release_has_no_shell_and_no_interpreter(root: Root) -> None:
    names = {Path(name).name for name in root.names()}

    assert not names & SHELLS
    assert not [name for name in names if INTERPRETERS.match(name)]


def test_no_file_of_a_release_is_a_script(root: Root) -> None:
    scripts = [name for name, path in root.files() if path.read_bytes()[:2] == b"#!"]

    assert not scripts


def test_no_file_of_a_release_lends_its_owners_rights(root: Root) -> None:
    lent = [name for name, path in root.files() if path.lstat().st_mode & 0o6000]

    assert not lent


def test_every_file_of_a_release_is_in_the_bill_of_materials_as_it_is(root: Root) -> None:
    found = {name: digest(path) for name, path in root.files()}

    assert found == root.listed()


def test_nobody_can_log_in(root: Root) -> None:
    passwd = (root.folder / "etc/passwd").read_text().splitlines()

    assert passwd
    for line in passwd:
        words = line.split(":")
        assert words[1] in ("x", "*", "!"), line
        assert words[6].endswith(("nologin", "false")), line


@pytest.fixture(scope="module")
def delivered(strategy: GantryStrategy, release: Image) -> Iterator[GantryStrategy]:
    """A box as it is delivered, in service."""
    put_in(strategy, release, None)
    strategy.transition(Status.booted)
    yield strategy
    strategy.transition(Status.off)


@pytest.mark.lg_feature("shell")
def test_a_release_has_nobody_at_the_port_where_a_debug_image_has_its_shell(delivered: GantryStrategy) -> None:
    with socket.socket(socket.AF_UNIX) as port:
        port.connect(str(delivered.box.path / "shell.sock"))
        port.settimeout(NOTHING)
        port.sendall(b"\r\necho here\r\n")
        with pytest.raises(TimeoutError):
            port.recv(1)


def test_the_serial_console_takes_no_words_from_somebody_who_has_not_shown_who_he_is(delivered: GantryStrategy) -> None:
    serial = delivered.serial
    serial.expect(r"The code on its label \(8 digits, on the box's label\):", 60)
    for line in ("sh", "reboot --now", "12345678", "status"):
        serial.line(line)
        serial.expect(r"The code on its label \(8 digits, on the box's label\):", 60)


@pytest.fixture(scope="module")
def inside(strategy: GantryStrategy, debug: Image, shell: Shell) -> Iterator[Shell]:
    """A shell in a box whose services are those that are delivered."""
    put_in(strategy, debug, None)
    strategy.transition(Status.booted)
    shell.reconnect(strategy.serial)
    yield shell
    strategy.transition(Status.off)


def listening(shell: Shell) -> set[int]:
    """The TCP ports that anybody outside could reach if the filter let him; loopback's are not."""
    found = set()
    for line in shell.run("cat /proc/net/tcp /proc/net/tcp6").splitlines():
        match = re.match(r"^ *[0-9]+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A ", line)
        if match and not match[1].endswith(("7F", "00000000000000000000000001000000")):
            found.add(int(match[2], 16))
    return found


def planned(shell: Shell) -> dict[str, list[tuple[int, int]]]:
    """The ports that the packet filter opens, as it stands in the kernel."""
    rules = shell.run("nft list ruleset")
    assert re.search(r"hook input priority filter; policy drop;", rules), rules
    ranges: dict[str, list[tuple[int, int]]] = {"tcp": [], "udp": []}
    for protocol, one, several in re.findall(r"(tcp|udp) dport (?:([0-9-]+)|\{ ([^}]*) \}) accept", rules):
        for part in (one or several).split(","):
            first, _, end = part.strip().partition("-")
            ranges[protocol].append((int(first), int(end or first)))
    return ranges


@pytest.mark.lg_feature("shell")
def test_no_port_is_open_outside_the_plan(inside: Shell) -> None:
    plan = planned(inside)
    of_configuration = inside.run("gatewayd --config /var/lib/gantry/gatewayd/gantry.toml --firewall nft")
    for protocol, ranges in plan.items():
        for first, end in ranges:
            shown = str(first) if first == end else f"{first}-{end}"
            assert shown in of_configuration, f"{protocol} {shown} is open and not in the plan"

    heard = listening(inside)
    assert 5060 in heard, "the gateway does not listen; what is tried here?"
    for port in heard:
        assert any(first <= port <= end for first, end in plan["tcp"]), f"TCP {port} is listened at, outside the plan"


@pytest.mark.lg_feature("shell")
def test_the_root_is_the_verified_one_and_cannot_be_written(inside: Shell, debug: Image) -> None:
    command_line = inside.run("cat /proc/cmdline")
    mounts = inside.run("grep ' / ' /proc/mounts")

    assert f"gantry.verity={debug.about['root']['verity']}" in command_line
    assert re.search(r"^/dev/(dm-0|mapper/\S+) / squashfs ro", mounts, re.MULTILINE), mounts
    assert "Read-only" in inside.run("touch /usr/bin/evil 2>&1; true")
    assert inside.run("cat /sys/block/dm-0/dm/uuid /sys/block/dm-0/ro").splitlines()[-1] == "1"


@pytest.mark.lg_feature("shell")
def test_every_service_of_ours_is_somebody_else_than_root_and_may_gain_nothing(inside: Shell) -> None:
    for unit in ("gatewayd", "otad", "gantry-serve", "gantry-panel", "gantry-serial@ttyS0"):
        asked = f"systemctl show -p User -p NoNewPrivileges -p ProtectSystem {unit}"
        shown = dict(line.split("=", 1) for line in inside.run(asked).splitlines() if "=" in line)
        assert shown["User"] not in ("", "root"), unit
        assert (shown["NoNewPrivileges"], shown["ProtectSystem"]) == ("yes", "strict"), f"{unit}: {shown}"


class Keys:
    """Keys of our own for the firmware: a platform key, and one that programs are signed with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("PK", "db"):
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
            command += ["-subj", f"/CN=rig {name}"]
            command += ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"]
            subprocess.run(command, check=True, capture_output=True)

    def enroll(self, variables: Path, to: Path) -> None:
        """Makes firmware variables that trust only these keys."""
        command = [
            Path(sys.executable).parent / "virt-fw-vars",
            "-i",
            variables,
            "-o",
            to,
            "--set-pk",
            OWNER,
            self.folder / "PK.crt",
        ]
        command += ["--add-kek", OWNER, self.folder / "PK.crt", "--add-db", OWNER, self.folder / "db.crt", "--sb"]
        subprocess.run(command, check=True, capture_output=True)

    def sign(self, disk: Disk) -> None:
        """Signs all that firmware starts, as the builder's last step does."""
        programs = [("ESP", "EFI/BOOT/BOOTX64.EFI"), ("ESP", "EFI/GANTRY/RECOVERY.EFI")]
        programs += [("BOOT-A", "gantry.efi"), ("BOOT-B", "gantry.efi")]
        for part, program in programs:
            fat = f"{disk.path}@@{disk.image.part(part).start}"
            plain, signed = self.folder / "plain.efi", self.folder / "signed.efi"
            subprocess.run(["mcopy", "-n", "-o", "-i", fat, f"::{program}", plain], check=True)
            command = ["sbsign", "--key", self.folder / "db.key", "--cert", self.folder / "db.crt"]
            subprocess.run([*command, "--output", signed, plain], check=True, capture_output=True)
            subprocess.run(["mcopy", "-o", "-i", fat, signed, f"::{program}"], check=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Fresh keys."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def secure(env: Environment, strategy: GantryStrategy, release: Image, keys: Keys) -> Iterator[GantryStrategy]:
    """A box whose firmware trusts only our keys, with a disk that nobody signed; off."""
    strategy.transition(Status.off)
    target = env.get_target("secure")
    guarded = target.get_driver("Strategy")
    put_in(guarded, release, None)
    keys.enroll(Path(guarded.box.variables), RIG / "box" / "vars.fd")
    yield guarded
    guarded.transition(Status.off)


@pytest.mark.lg_feature("secure-boot")
def test_an_image_that_nobody_signed_is_refused(secure: GantryStrategy) -> None:
    secure.switch_on()

    secure.serial.until("the firmware refuses", BOOT, lambda: "Access Denied" in secure.serial.text)
    with pytest.raises(Late):
        secure.in_service(30)


@pytest.mark.lg_feature("secure-boot")
def test_an_image_that_we_signed_starts_under_secure_boot(secure: GantryStrategy, keys: Keys) -> None:
    assert secure.disk is not None
    keys.sign(secure.disk)

    secure.transition(Status.booted)
