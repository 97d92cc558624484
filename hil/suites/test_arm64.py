"""The ARM64 box: cross-compiled, composed and started as the other one is. Calls are tried on x86-64."""

import struct

import pytest

from gantry_rig.disk import Image
from gantry_rig.strategy import ASKED, BOOT, GantryStrategy, Status

AARCH64 = 0xAA64
"""The machine of a PE file (Microsoft PE/COFF specification 3.3.1)."""


@pytest.fixture(autouse=True, scope="module")
def _arm(board: str) -> None:
    if "aarch64" not in board and not board.startswith("arm"):
        pytest.skip(f"{board} is no ARM64 board")


def machine(file: bytes) -> int:
    """What processor an EFI program is for."""
    (header,) = struct.unpack_from("<I", file, 0x3C)
    (kind,) = struct.unpack_from("<H", file, header + 4)
    return kind


def test_loader_and_kernel_images_are_arm64(release: Image) -> None:
    for name in ("guard.efi", "a.efi", "b.efi", "recovery.efi"):
        assert machine((release.built / name).read_bytes()) == AARCH64, name
    assert release.about["arch"] == "aarch64"


def test_power_on_leads_to_an_answer_to_options(box: GantryStrategy, figures: dict[str, str]) -> None:
    box.switch_on()

    status = box.in_service(BOOT)

    assert status.startswith("SIP/2.0 200")
    box.status = Status.booted
    figures["first OPTIONS answered, ARM64"] = f"{box.box.cpu_seconds():.1f} s of QEMU's processor time"


def test_the_box_is_set_up_from_nothing_by_serial_alone(box: GantryStrategy) -> None:
    box.transition(Status.configured)

    shown = box.command("network settings")

    assert box.address in shown, shown


def test_it_starts_again_as_the_box_it_was_set_up_to_be(box: GantryStrategy) -> None:
    box.transition(Status.configured)
    box.transition(Status.off)

    box.transition(Status.booted)

    shown = box.serial.expect(r"Password \(it is not shown\):", ASKED)
    assert f"Box   {box.host_name} " in shown, shown
