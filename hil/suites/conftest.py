"""What every suite stands on: images, a box with a fresh disk, a conference."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid import Target

from gantry_rig.conference import Conference
from gantry_rig.disk import Disk, Image
from gantry_rig.panel import Panel
from gantry_rig.shell import Shell
from gantry_rig.strategy import GantryStrategy, Status

RIG = Path(os.environ.get("LG_RIG", "target/hil"))
TARGET = Path(os.environ.get("LG_TARGET", "target"))
FIGURES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What was measured; printed at the end, and in the report."""
    found: dict[str, str] = {}
    yield found
    request.config.stash[FIGURES].update(found)


def pytest_configure(config: pytest.Config) -> None:
    """A place for figures."""
    config.stash[FIGURES] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the figures."""
    for name, value in config.stash[FIGURES].items():
        terminalreporter.write_line(f"{name:<44} {value}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps the journal of a box that a test failed on."""
    report = yield
    strategy = getattr(item, "funcargs", {}).get("strategy")
    if report.failed and isinstance(strategy, GantryStrategy) and strategy.disk is not None:
        kept = RIG / "failed"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / f"{item.name}.journal").write_text(strategy.disk.journal())
    return report


@pytest.fixture(scope="session")
def board(target: Target) -> str:
    """The board of the box in this rig."""
    name: str = target.env.config.get_target_option(target.name, "board")
    return name


def image_of(board: str, flavour: str) -> Image:
    """What was built and flashed for this board."""
    folder = board if flavour == "release" else f"{board}-{flavour}"
    return Image(TARGET / "image" / folder, RIG / flavour)


@pytest.fixture(scope="session")
def release(board: str) -> Image:
    """The image that is delivered."""
    return image_of(board, "release")


@pytest.fixture(scope="session")
def debug(board: str) -> Image:
    """The image with a shell."""
    return image_of(board, "debug")


@pytest.fixture(scope="module")
def conference(target: Target, strategy: GantryStrategy) -> Iterator[Conference]:
    """A conference that the box can reach."""
    folder = RIG / "conference"
    folder.mkdir(parents=True, exist_ok=True)
    listen = target.env.config.get_target_option(target.name, "listen")
    target.activate(strategy.box)
    conference = Conference(TARGET / "debug" / "meet-sim", folder, strategy.box.place().ours, listen)
    yield conference
    conference.close()


def put_in(strategy: GantryStrategy, image: Image, conference: Conference | None) -> Disk:
    """Gives the box a fresh disk, and the gateway what it needs to reach the conference."""
    disk = Disk(image, RIG / "box" / "disk.img")
    strategy.transition(Status.off)
    disk.fresh()
    if conference is not None:
        disk.put(conference.gateway_files(strategy.box.public, strategy.box.media))
    strategy.insert(disk)
    return disk


@pytest.fixture(scope="module")
def box(strategy: GantryStrategy, release: Image, conference: Conference) -> Iterator[GantryStrategy]:
    """A box as it is delivered, with a conference configured; off."""
    put_in(strategy, release, conference)
    yield strategy
    strategy.transition(Status.off)


@pytest.fixture(scope="module")
def shell(strategy: GantryStrategy) -> Iterator[Shell]:
    """The shell of a box with a debug image."""
    shell = Shell(strategy.box.path / "shell.sock")
    yield shell
    shell.close()


@pytest.fixture
def panel(strategy: GantryStrategy) -> Iterator[Panel]:
    """A front panel in the USB socket of a box that is on."""
    socket = strategy.box.path / "panel.sock"
    panel = Panel(TARGET / "debug" / "examples" / "front_panel", socket, strategy.serial)
    yield panel
    panel.close()
