"""Network cards stamp what they send where they really do, and a card that only claims so is found out."""

import json
from collections.abc import Iterator

import pytest

from gantry_rig.disk import Image
from gantry_rig.shell import Shell
from gantry_rig.sip import options
from gantry_rig.strategy import GantryStrategy, Status
from suites.conftest import put_in

pytestmark = pytest.mark.lg_feature("shell")

CONTROL = "/run/gantry/gatewayd.sock"
PROOFS = "/run/gantry/applied/stamping"
PROVEN = 90
"""Seconds that the proof may take after the box is in service."""
ASKED_TO_STAMP = 256
"""One of so many packets asks for its stamps; they are read when the next ones come."""


@pytest.fixture(scope="module")
def inside(strategy: GantryStrategy, debug: Image, shell: Shell) -> Iterator[Shell]:
    """A shell in a box that is in service."""
    put_in(strategy, debug, None)
    strategy.transition(Status.booted)
    shell.reconnect(strategy.serial)
    yield shell
    strategy.transition(Status.off)


def found(strategy: GantryStrategy, shell: Shell, card: str) -> str:
    """What the box finds out after its start about who stamps the packets of a card."""

    def told() -> str | None:
        proofs = shell.run(f"cat {PROOFS}").splitlines()
        return next((line for line in proofs if line.startswith(f"{card}:")), None)

    return strategy.serial.until(f"the box says who stamps the packets of {card}", PROVEN, told)


def departures(shell: Shell) -> dict[str, int]:
    """How many packets gatewayd knows to have left, by who stamped them."""
    said = shell.run(f'ask {CONTROL} \'{{"get":"status"}}\'')
    counted: dict[str, int] = json.loads(said)["departures"]
    return counted


def test_stamps_that_igb_makes_in_hardware_reach_the_gateways_statistics(
    inside: Shell, strategy: GantryStrategy
) -> None:
    """Answers to OPTIONS leave through it, and one of so many is stamped."""
    assert "lan0: hardware stamps" in found(strategy, inside, "lan0")

    for _ in range(ASKED_TO_STAMP + 16):
        options(strategy.box.place())

    assert departures(inside)["hardware"] > 0


def test_the_lie_of_e1000e_is_noticed_and_software_stamps_are_used(inside: Shell, strategy: GantryStrategy) -> None:
    line = found(strategy, inside, "lan2")

    assert "software stamps" in line
    assert "says it stamps but did not" in line, line
