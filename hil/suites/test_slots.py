"""A slot that is bad is left for the other one, without a hand, and the box says why."""

from collections.abc import Iterator

import pytest

from gantry_rig.disk import Disk, Image
from gantry_rig.reasons import Reason, reasons
from gantry_rig.shell import Shell
from gantry_rig.strategy import BOOT, GantryStrategy, Status
from suites.conftest import put_in

FALL_BACK = 3 * BOOT
"""A slot fault takes some starts."""
GARBLED = 12 << 20


@pytest.fixture
def running(strategy: GantryStrategy, debug: Image, shell: Shell) -> Iterator[Disk]:
    """A box that was in service on slot A, and is off, with all on its disk: losing power is another suite's."""
    disk = put_in(strategy, debug, None)
    strategy.transition(Status.booted)
    shell.reconnect(strategy.serial)
    shell.run("sync")
    strategy.transition(Status.off)
    yield disk
    strategy.transition(Status.off)


def fall_back(strategy: GantryStrategy, shell: Shell) -> Reason:
    """Switches the box on, waits until it serves on the other slot, and gives back why it says it does."""
    strategy.switch_on()
    strategy.in_service(FALL_BACK)
    shell.reconnect(strategy.serial)
    assert "gantry.slot=b" in shell.run("cat /proc/cmdline").lower()
    found = [reason for reason in reasons(shell) if reason.what == "box"]
    assert found, "the box recorded nothing"
    return found[-1]


@pytest.mark.lg_feature("shell")
def test_a_root_whose_beginning_is_damaged_is_left_for_the_other_slot(
    running: Disk, strategy: GantryStrategy, shell: Shell
) -> None:
    running.garble("ROOT-A", 0, 8192)

    reason = fall_back(strategy, shell)

    assert (reason.word, reason.fell_back_from) == ("slot-root-corrupted", "A"), reason


@pytest.mark.lg_feature("shell")
def test_a_root_that_is_damaged_in_its_middle_is_left_for_the_other_slot(
    running: Disk, strategy: GantryStrategy, shell: Shell
) -> None:
    running.garble("ROOT-A", 3 << 20, GARBLED)

    reason = fall_back(strategy, shell)

    assert (reason.word, reason.fell_back_from) == ("slot-root-corrupted", "A"), reason


@pytest.mark.lg_feature(["shell", "firmware"])
def test_a_kernel_image_that_is_truncated_is_left_for_the_other_slot(
    running: Disk, strategy: GantryStrategy, shell: Shell
) -> None:
    running.truncate_kernel("BOOT-A", 5_000_000)

    reason = fall_back(strategy, shell)

    assert (reason.word, reason.fell_back_from) == ("slot-image-unloadable", "A"), reason


@pytest.mark.lg_feature("shell")
def test_a_slot_that_starts_but_is_not_well_is_left_for_the_other_slot(
    running: Disk, strategy: GantryStrategy, shell: Shell
) -> None:
    running.record_is("BOOT-A", revision=5, state="INSTALLED")
    strategy.switch_on()
    strategy.in_service(BOOT)
    shell.reconnect(strategy.serial)
    # A gateway that is told to end stays for what may come late; this one ends at once, and is not started again.
    shell.run("systemctl stop --no-block gatewayd; systemctl kill --signal KILL gatewayd")
    strategy.out_of_service(30)

    strategy.in_service(FALL_BACK)

    shell.reconnect(strategy.serial)
    assert "gantry.slot=b" in shell.run("cat /proc/cmdline").lower()
    last = [reason for reason in reasons(shell) if reason.what == "box"][-1]
    assert (last.word, last.fell_back_from) == ("slot-unhealthy", "A"), last
