"""Network cards stamp what they send where they really do, and a card that only claims so is found out."""

import json
from collections.abc import Iterator

import pytest

from gantry_rig.disk import Image
from gantry_rig.shell import Shell
from gantry_rig.strategy import GantryStrategy, Status
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


def stamping(shell: Shell) -> dict[str, dict]:
    """What gatewayd's statistics say of each card."""
    said = shell.run(f'echo \'{{"get":"status"}}\' | nc local:{CONTROL} 2>&1 | head -1')
    start = said.find("{")
    assert start >= 0, f"gatewayd's control socket said {said!r}"
    status = json.loads(said[start:])
    assert "nics" in status, f"gatewayd's statistics say nothing of network cards: they have {sorted(status)}"
    cards: dict[str, dict] = status["nics"]
    return cards


def test_stamps_that_igb_makes_in_hardware_reach_the_gateways_statistics(inside: Shell) -> None:
    lan0 = stamping(inside)["lan0"]

    assert lan0["transmit"] == "hardware"
    assert lan0["stamped"] > 0


def test_the_lie_of_e1000e_is_noticed_and_software_stamps_are_used(inside: Shell) -> None:
    assert stamping(inside)["lan2"]["transmit"] == "software"
