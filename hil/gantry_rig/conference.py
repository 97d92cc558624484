"""The conference that calls are joined to: the simulator, reachable from inside the box."""

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

MEETING = "1234567890123"
DOMAIN = "meet.example.com"
TOKEN = "token-of-the-rig"
CA = "conference-ca.pem"


class Conference:
    """A running simulator; `ours` is this machine as the box sees it."""

    def __init__(self, program: Path, folder: Path, ours: str, listen: str) -> None:
        self.ca_file = folder / CA
        self.log = (folder / "conference.log").open("w")
        command = [program, "--address", listen, "--media-address", ours, "--name", ours, "--meeting", MEETING]
        command += ["--token", f"rig:{TOKEN}:trusted", "--ca-out", self.ca_file]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, f"the simulator does not start; see {self.log.name}"
        ready = json.loads(said)
        self.page: str = ready["page"]
        https = urllib.parse.urlsplit(ready["https"])
        self.url = f"https://{ours}:{https.port}"

    def participants(self) -> list[dict]:
        """Who is in the meeting, as the conference sees them."""
        asked = f"{self.page}/control/participants?meeting={MEETING}"
        with urllib.request.urlopen(asked, timeout=5) as answer:
            found: list[dict] = json.load(answer)
            return found

    def close(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def gateway_files(self, public: str | None, media: range | None) -> dict[str, str]:
        """What a gateway is configured with to join this conference."""
        address = f'public_address = "{public}"\n' if public else ""
        ports = f'[media]\nports = "{media.start}-{media.stop - 1}"\n' if media else ""
        configuration = (
            f'[gateway]\ndomains = ["{DOMAIN}"]\n{address}{ports}'
            f'[admin]\nlisten = ["0.0.0.0:443"]\n'
            f'[log]\nlevel = "info"\n'
            f'[[tokens]]\nname = "rig"\nvalue = "{TOKEN}"\ntrust = "trusted"\n'
            f'[[connectors]]\nname = "meet"\nkind = "interop"\nurl = "{self.url}"\n'
            f'ca_file = "/var/lib/gantry/gatewayd/{CA}"\n'
            f'[[rules]]\nname = "meetings"\npriority = 100\ntoken = "rig"\n'
        )
        return {"gantry.toml": configuration, CA: self.ca_file.read_text()}
