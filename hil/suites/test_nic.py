"""Network cards stamp what they send where they really do, and a card that only claims so is found out."""

import json
from collections.abc import Iterator

import pytest

from gantry_rig.disk import Image
from gantry_rig.shell import Shell
from gantry_rig.strategy import BOOT, GantryStrategy, Status
from suites.conftest import put_in

pytestmark = pytest.mark.lg_feature("shell")

CONTROL = "/run/gantry/gatewayd.sock"


@pytest.fixture(scope="module")
def inside(strategy: GantryStrategy, debug: Image, shell: Shell) -> Iterator[Shell]:
    """A shell in a box that is in service."""
    put_in(strategy, debug, None)
    strategy.transition(Status.booted)
    shell.reconnect(strategy.serial)
    yield shell
    strategy.transition(Status.off)


def found(shell: Shell, card: str) -> str:
    """What the box found out at its start about who stamps the packets of a card."""
    proofs = shell.run("cat /run/gantry/applied/stamping").splitlines()
    (line,) = (line for line in proofs if line.startswith(f"{card}:"))
    return line


def departures(shell: Shell) -> dict[str, int]:
    """How many packets gatewayd knows to have left, by who stamped them."""
    said = shell.run(f'ask {CONTROL} \'{{"get":"status"}}\'')
    counted: dict[str, int] = json.loads(said)["departures"]
    return counted


def test_stamps_that_igb_makes_in_hardware_reach_the_gateways_statistics(
    inside: Shell, strategy: GantryStrategy
) -> None:
    """Answers to OPTIONS leave through it, and the first of them is stamped."""
    strategy.in_service(BOOT)

    assert "lan0: hardware stamps" in found(inside, "lan0")
    assert departures(inside)["hardware"] > 0


def test_the_lie_of_e1000e_is_noticed_and_software_stamps_are_used(inside: Shell) -> None:
    line = found(inside, "lan2")

    assert "software stamps" in line
    assert "says it stamps but did not" in line, line
