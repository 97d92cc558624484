"""A box is set up where it stands: by its serial console, or by its display and four keys. No network is needed."""

import re
from collections.abc import Iterator
from ipaddress import ip_interface

import pytest

from gantry_rig import golden
from gantry_rig.disk import Image
from gantry_rig.panel import Panel
from gantry_rig.strategy import BOOT, PASSWORD, GantryStrategy, Status
from gantry_rig.terminal import Terminal
from suites.conftest import put_in

PRESSES = 60
TRIAL = 120
"""Seconds until a change that nobody confirms is taken back."""
PATIENCE = 90


@pytest.fixture
def fresh(strategy: GantryStrategy, release: Image) -> Iterator[GantryStrategy]:
    """A box as it comes from the flasher, in service."""
    put_in(strategy, release, None)
    strategy.transition(Status.booted)
    yield strategy
    strategy.transition(Status.off)


def test_a_box_is_set_up_on_a_terminal_and_each_screen_is_as_in_its_picture(fresh: GantryStrategy) -> None:
    assert fresh.disk is not None
    screens: list[tuple[str, str]] = []
    terminal = Terminal(fresh.serial)

    def answer(question: str, keys: str) -> None:
        screens.append((question, terminal.wait(question, PATIENCE)))
        terminal.type(keys)

    # Ctrl-L: another terminal was plugged in, which is asked what it is.
    terminal.type("\x0c")
    answer("The code on its label", fresh.disk.image.label["Claim"] + "\r")
    answer("New administrator password", PASSWORD + "\r")
    answer("The same again", PASSWORD + "\r")
    answer("Which interface", "\r")
    answer("IPv4 address of lan0", "\x15" + fresh.address + "\r")
    answer("Gateway", "\x15" + fresh.gateway + "\r")
    answer("DNS servers", "\x15" + fresh.dns + "\r")
    answer("Time servers", "\x15" + fresh.time + "\r")
    answer("Host name", "\x15" + fresh.host_name + "\r")
    answer("What is changed", "\r")
    answer("Does it work?", "\r")
    answer("The change stands.", "\r")
    answer("Main menu", "")

    assert fresh.host_name in screens[-1][1]
    fresh.in_service(PATIENCE)
    golden.same("serial", screens)


def test_wrong_network_settings_come_back_by_themselves(fresh: GantryStrategy) -> None:
    """Nobody confirms them, because nobody can reach the box by them."""
    right = fresh.address
    fresh.address = "192.0.2.77/24"
    try:
        fresh.transition(Status.claimed)
        with pytest.raises(AssertionError):
            fresh.transition(Status.configured)
    finally:
        fresh.address = right
    fresh.broken = None

    fresh.in_service(TRIAL + PATIENCE)


@pytest.mark.lg_feature("panel")
def test_a_box_is_set_up_by_display_and_keys_alone_with_at_most_60_presses(
    fresh: GantryStrategy, panel: Panel, figures: dict[str, str]
) -> None:
    assert fresh.disk is not None
    code = fresh.disk.image.label["Claim"].replace("-", "")[-4:]
    address, prefix = fresh.address.split("/")
    screens: list[tuple[str, str]] = []

    def asked(question: str) -> None:
        rows = panel.wait(question, PATIENCE)
        shown = [re.sub(r"^[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4} *$", "<password>", row) for row in rows]
        screens.append((question, "\n".join(row.rstrip() for row in shown)))

    asked("Code, last 4")
    panel.digits(code, 0)
    asked("Note password")
    panel.press("select")
    asked("Interface")
    panel.choose("lan0")
    asked("lan0 address")
    panel.choose("Fixed")
    asked("Address")
    panel.address(address, int(prefix))
    asked("Network mask")
    panel.choose(str(ip_interface(fresh.address).netmask))
    asked("Gateway")
    panel.address(fresh.gateway, int(prefix))
    asked("DNS server")
    panel.address(fresh.dns, int(prefix))
    asked("Time server")
    panel.address(fresh.time, int(prefix))
    asked("Host name")
    panel.press("select")
    asked("Change")
    panel.choose("Apply now")
    asked("Does it work?")
    fresh.in_service(PATIENCE)
    panel.choose("Confirm")
    asked("The change stands.")

    figures["set-up at the panel (at most 60)"] = f"{panel.pressed} key presses"
    assert panel.pressed <= PRESSES
    assert not panel.faults, panel.faults
    fresh.in_service(PATIENCE)
    golden.same("panel", screens)


def test_a_box_with_an_owner_asks_for_his_password_after_a_restart(fresh: GantryStrategy) -> None:
    fresh.transition(Status.configured)
    fresh.transition(Status.off)
    fresh.switch_on()
    fresh.in_service(BOOT)
    fresh.serial.expect(r"Password \(.*\):", PATIENCE)
    fresh.serial.line("wrong horse")
    fresh.serial.expect(r"Password \(.*\):", PATIENCE)
    fresh.serial.line(PASSWORD)
    fresh.serial.expect("Main menu", PATIENCE)
