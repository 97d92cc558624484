"""What an administrator configures stays: over power cuts, sealed by the box's TPM, without a secret in any file."""

import pytest

from gantry_rig.conference import TOKEN, Conference
from gantry_rig.disk import Image
from gantry_rig.strategy import BOOT, PASSWORD, GantryStrategy, Status
from gantry_rig.web import Refused, Web
from suites.conftest import put_in

LOCATION = {"name": "head office", "networks": ["198.51.100.0/24"]}
PLANTED = "a-token-that-was-planted-by-the-rig"
STORE = "gatewayd/store/v2"


@pytest.fixture(scope="module")
def web(box: GantryStrategy) -> Web:
    """The API of a box that has an owner, whose password is the page's too."""
    box.transition(Status.claimed)
    web = Web(box.box.web())
    box.serial.until("the page takes the console's password", 120, lambda: web.log_in(PASSWORD))
    return web


def test_the_owner_of_the_box_administers_it_by_the_page(web: Web) -> None:
    assert web.ask("GET", "/session")["role"] == "administrator"
    assert web.ask("GET", "/call-routing-rules")["items"][0]["name"] == "meetings"


def test_the_key_over_the_secrets_is_sealed_by_the_tpm(web: Web) -> None:
    sealed_by = web.ask("GET", "/health")["secrets_sealed_by"]
    assert "TPM" in sealed_by, sealed_by


def test_the_page_shows_the_box_and_changes_it_with_the_consoles_password(web: Web) -> None:
    assert web.ask("GET", "/box")["slot"] == "A"
    staged = {"password": PASSWORD, "changes": {"idle-minutes": "7"}}
    web.ask("POST", "/box/settings:stage", staged)
    word = {"password": PASSWORD}
    web.ask("POST", "/box/settings:apply", word)
    web.ask("POST", "/box/settings:confirm", word)
    settings = {one["name"]: one["text"] for one in web.ask("GET", "/box")["settings"]}
    assert settings["idle-minutes"] == "7"
    with pytest.raises(Refused) as refused:
        web.ask("POST", "/box:restart", {"password": "a guess that is wrong", "haste": "now"})
    assert refused.value.status == 403


def test_what_was_acknowledged_is_there_after_a_power_cut(web: Web, box: GantryStrategy) -> None:
    web.ask("POST", "/locations", LOCATION)
    web.ask("PATCH", "/access-tokens/rig", {"value": PLANTED})
    box.transition(Status.off)
    assert box.disk is not None
    box.disk.replay()

    copy = box.disk.read("gatewayd/gantry.toml")
    assert "head office" in copy
    assert PLANTED not in copy
    assert TOKEN not in copy
    kept = [box.disk.read_bytes(f"{STORE}/{name}") for name in ("config.a", "config.b", "journal.a", "journal.b")]
    assert any(b"head office" in file for file in kept), "nothing is in the store; what is looked at here?"
    for secret in (PLANTED, TOKEN):
        assert all(secret.encode() not in file for file in kept), "a secret is open in the store"

    box.switch_on()
    box.in_service(BOOT)
    box.serial.until("the page takes the console's password", 120, lambda: web.log_in(PASSWORD))
    assert web.ask("GET", "/locations/head%20office")["networks"] == LOCATION["networks"]
    assert PLANTED not in str(web.ask("GET", "/access-tokens/rig"))
    assert "secret" not in str(web.ask("GET", "/alarms")), "a secret could not be opened"


def test_a_box_whose_tpm_was_changed_goes_on_and_tells_which_secrets_it_lost(
    web: Web, box: GantryStrategy, release: Image, conference: Conference
) -> None:
    box.transition(Status.off)
    box.box.new_tpm()

    box.switch_on()
    box.in_service(BOOT)
    box.serial.until("the page takes the console's password", 120, lambda: web.log_in(PASSWORD))
    alarms = str(web.ask("GET", "/alarms"))
    assert "secret" in alarms, alarms
    web.ask("PATCH", "/access-tokens/rig", {"value": PLANTED})

    put_in(box, release, conference)
