"""Whatever fails, the box comes back into service without a hand, in time, and says truly what it was."""

from collections.abc import Iterator

import pytest

from gantry_rig.disk import Image
from gantry_rig.reasons import Reason, reasons
from gantry_rig.shell import Shell
from gantry_rig.strategy import BOOT, GantryStrategy, Status
from suites.conftest import put_in

pytestmark = pytest.mark.lg_feature("shell")

PROCESS = 15
"""Seconds from a process's fault to service, on a box; the virtual one is slower, which SLOWER says."""
SLOWER = 4
WATCHDOG = 90
"""Seconds that the hardware's watchdog and the kernel's restart after a panic may take, beside a start."""

FORGET = "/var/lib/gantry/forget-"
"""The marks of a reset of everything begin so."""


@pytest.fixture(scope="module")
def faulty(strategy: GantryStrategy, debug: Image) -> Iterator[GantryStrategy]:
    """A box that faults are caused in."""
    put_in(strategy, debug, None)
    yield strategy
    strategy.transition(Status.off)


@pytest.fixture
def box(faulty: GantryStrategy, shell: Shell) -> GantryStrategy:
    """The box in service, whatever was done to it before."""
    if faulty.status != Status.booted:
        faulty.transition(Status.booted)
    faulty.in_service(BOOT)
    shell.reconnect(faulty.serial)
    return faulty


def pid(shell: Shell, unit: str) -> str:
    """The main process of a unit."""
    return shell.run(f"systemctl show -P MainPID {unit}").splitlines()[-1]


def last(shell: Shell, what: str) -> Reason:
    """The newest reason of `what`."""
    found = [reason for reason in reasons(shell) if reason.what == what]
    assert found, f"nothing was recorded of {what}: {reasons(shell)}"
    return found[-1]


def back_as_another(box: GantryStrategy, shell: Shell, before: str) -> None:
    """Waits until another process of the gateway serves."""

    def again() -> bool:
        now = pid(shell, "gatewayd")
        return now not in ("0", before)

    box.serial.until("the gateway was started again", PROCESS * SLOWER, again)
    box.in_service(PROCESS * SLOWER)


def worker(shell: Shell, name: str) -> str:
    """The process of one of the gateway's media workers, or nothing."""
    found = shell.run(f"grep -lx {name} /proc/[0-9]*/comm").split()
    return found[0].split("/")[2] if found else ""


def test_a_media_worker_that_crashes_is_replaced_by_another_as_confined_and_the_gateway_goes_on(
    box: GantryStrategy, shell: Shell
) -> None:
    gateway, before = pid(shell, "gatewayd"), worker(shell, "pictures-1")
    assert before, "the gateway has no worker for pictures"

    shell.run(f"kill -ABRT {before}")

    box.serial.until("another worker", PROCESS * SLOWER, lambda: worker(shell, "pictures-1") not in ("", before))
    status = shell.run(f"cat /proc/{worker(shell, 'pictures-1')}/status")
    assert "Seccomp:\t2" in status, status
    assert "NoNewPrivs:\t1" in status, status
    assert pid(shell, "gatewayd") == gateway


def test_a_gateway_that_is_killed_is_back_and_the_reason_is_the_true_one(box: GantryStrategy, shell: Shell) -> None:
    before = pid(shell, "gatewayd")

    shell.run(f"kill -KILL {before}")

    back_as_another(box, shell, before)
    assert last(shell, "gatewayd.service").word == "service-killed"


def test_a_gateway_that_is_frozen_is_back_and_the_reason_is_the_true_one(box: GantryStrategy, shell: Shell) -> None:
    before = pid(shell, "gatewayd")

    shell.run(f"kill -STOP {before}")

    back_as_another(box, shell, before)
    assert last(shell, "gatewayd.service").word == "service-frozen"


def test_a_gateway_whose_threads_wait_for_ever_is_back_and_the_part_is_named(box: GantryStrategy, shell: Shell) -> None:
    """The thread that turns all calls is held; the others go on, as in a deadlock."""
    before = pid(shell, "gatewayd")

    shell.send("hold gatewayd shard-1 > /dev/null 2>&1 &")

    back_as_another(box, shell, before)
    reason = last(shell, "gatewayd.service")
    assert reason.word == "service-deadlocked", reason


def test_a_first_process_that_hangs_leads_to_a_reset_by_the_watchdog(box: GantryStrategy, shell: Shell) -> None:
    """It is held as a debugger holds it; signals cannot stop it."""
    boot = shell.run("cat /proc/sys/kernel/random/boot_id")

    shell.send("hold systemd systemd > /dev/null 2>&1 &")

    came_back(box, shell, boot)
    assert last(shell, "box").word == "system-hung"


def test_a_kernel_that_panics_starts_anew_and_tells_of_it(box: GantryStrategy, shell: Shell) -> None:
    boot = shell.run("cat /proc/sys/kernel/random/boot_id")

    shell.send("echo c > /proc/sysrq-trigger")

    came_back(box, shell, boot)
    reason = last(shell, "box")
    assert reason.word == "kernel-panic", reason
    assert "sysrq" in reason.text, reason


def came_back(box: GantryStrategy, shell: Shell, boot: str) -> None:
    """Waits until another start of the box serves."""
    box.out_of_service(WATCHDOG)
    box.in_service(WATCHDOG + BOOT)
    shell.reconnect(box.serial)
    assert shell.run("cat /proc/sys/kernel/random/boot_id") != boot


def test_a_full_disk_ends_no_service_and_is_told(box: GantryStrategy, shell: Shell) -> None:
    before = pid(shell, "gatewayd")

    shell.run("dd if=/dev/zero of=/data/ballast bs=1M; dd if=/dev/zero of=/var/lib/gantry/ballast bs=1M; sync", 120)
    try:
        box.serial.until(
            "the full disk is told",
            120,
            lambda: any(reason.word == "disk-full" for reason in reasons(shell)),
        )
        box.in_service(PROCESS * SLOWER)
        assert pid(shell, "gatewayd") == before
    finally:
        shell.run("rm -f /data/ballast /var/lib/gantry/ballast")


@pytest.mark.parametrize("jump", ["2037-01-01 00:00:00", "2020-01-01 00:00:00"])
def test_a_clock_that_jumps_ends_no_service_and_is_told(box: GantryStrategy, shell: Shell, jump: str) -> None:
    before = pid(shell, "gatewayd")
    told = sum(reason.word == "clock-jumped" for reason in reasons(shell))

    shell.run(f"date -s '{jump}'")

    box.in_service(PROCESS * SLOWER)
    box.serial.until(
        "the jump is told",
        60,
        lambda: sum(reason.word == "clock-jumped" for reason in reasons(shell)) > told,
    )
    assert pid(shell, "gatewayd") == before


def test_a_reset_of_everything_forgets_all_but_who_the_box_is(box: GantryStrategy, shell: Shell) -> None:
    """DATA is forgotten in a step of its own, after the gateway has started."""
    forgotten = "/var/lib/gantry/console/planted /data/support/planted"
    identity = shell.run("ls /var/lib/gantry/identity")
    box.serial.until("DATA is there", PROCESS * SLOWER, lambda: "support" in shell.run("ls /data"))
    shell.run(f"touch {forgotten}; echo everything > {FORGET}everything; sync")

    box.transition(Status.off)
    box.transition(Status.booted)

    shell.reconnect(box.serial)
    box.serial.until(
        "all is forgotten",
        PROCESS * SLOWER,
        lambda: shell.run(f"ls {forgotten} {FORGET}* 2>/dev/null; echo none") == "none",
    )
    assert shell.run("ls /var/lib/gantry/identity") == identity
    assert "support" in shell.run("ls /data")


def test_power_that_is_lost_just_after_the_first_start_leaves_a_box_that_starts_again(
    strategy: GantryStrategy, debug: Image
) -> None:
    put_in(strategy, debug, None)
    strategy.transition(Status.booted)
    strategy.transition(Status.off)

    strategy.transition(Status.booted)
