"""The box's disk as a file: what the flasher made, what is put onto it before a start, and what is broken on it."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

GATEWAY_USER, GATEWAY_GROUP = 810, 800
BLOCK = 4096


@dataclass(frozen=True)
class Part:
    """A partition: where it begins and how long it is, in bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class Image:
    """What the image builder and the flasher made of one flavour ("release", "debug")."""

    built: Path
    """Its folder: `image.json`, `sbom.json`, kernel images."""
    flashed: Path
    """Its folder: `disk.img` as the flasher wrote it, `label.txt`."""

    @property
    def about(self) -> dict:
        """What `image.json` says."""
        return json.loads((self.built / "image.json").read_text())

    def part(self, name: str) -> Part:
        """The partition `name`."""
        (found,) = (part for part in self.about["partitions"] if part["name"] == name)
        return Part(found["start"], found["size"])

    @property
    def label(self) -> dict[str, str]:
        """What stands on the box's label: "S/N", "Claim"."""
        lines = (line.split(maxsplit=1) for line in (self.flashed / "label.txt").read_text().splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2}


class Disk:
    """A copy of a flashed disk, to be put into a box that is off."""

    def __init__(self, image: Image, path: Path) -> None:
        self.image = image
        self.path = path

    def fresh(self) -> None:
        """As it comes from the flasher."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        source = self.image.flashed / "disk.img"
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, self.path], check=True)

    def _at(self, part: str) -> str:
        return f"{self.path}?offset={self.image.part(part).start}"

    def put(self, files: dict[str, str], folder: str = "gatewayd") -> None:
        """Writes the gateway's files into STATE, as whoever rolls boxes out does before they are shipped."""
        with tempfile.TemporaryDirectory() as scratch:
            lines = [f"mkdir {folder}", f"sif {folder} mode 040750"]
            lines += [f"sif {folder} uid {GATEWAY_USER}", f"sif {folder} gid {GATEWAY_GROUP}"]
            for name, text in files.items():
                source = Path(scratch) / name
                source.write_text(text)
                to = f"{folder}/{name}"
                lines += [f"write {source} {to}", f"sif {to} mode 0100640"]
                lines += [f"sif {to} uid {GATEWAY_USER}", f"sif {to} gid {GATEWAY_GROUP}"]
            script = Path(scratch) / "script"
            script.write_text("\n".join(lines) + "\n")
            subprocess.run(["debugfs", "-w", "-f", script, self._at("STATE")], check=True, capture_output=True)

    def read(self, path: str, part: str = "STATE") -> str:
        """A file of an ext4 partition of a box that is off."""
        return self.read_bytes(path, part).decode()

    def read_bytes(self, path: str, part: str = "STATE") -> bytes:
        """The same for a file that is no text; nothing if it is not there."""
        asked = ["debugfs", "-c", "-R", f"cat {path}", self._at(part)]
        return subprocess.run(asked, check=True, capture_output=True).stdout

    def replay(self, part: str = "STATE") -> None:
        """Brings an ext4 partition to where its journal has it, as the box's own start does after a power cut."""
        subprocess.run(["e2fsck", "-y", "-E", "journal_only", self._at(part)], check=False, capture_output=True)

    def journal(self) -> str:
        """The end of the box's journal, read from its disk: a release has nobody to ask."""
        with tempfile.TemporaryDirectory() as scratch:
            asked = ["debugfs", "-c", "-R", f"rdump /journal {scratch}", self._at("DATA")]
            subprocess.run(asked, check=True, capture_output=True)
            shown = ["journalctl", "-q", "--no-pager", "-b", "-o", "short-monotonic", "-n", "2000", "-D"]
            found = [*Path(scratch).glob("journal/*")]
            said = [subprocess.run([*shown, folder], capture_output=True, text=True).stdout for folder in found]
            return "".join(said)

    def garble(self, part: str, at: int, length: int) -> None:
        """Overwrites `length` bytes of a partition, as a disk that wears out does."""
        with self.path.open("r+b") as disk:
            disk.seek(self.image.part(part).start + at)
            disk.write(os.urandom(length))

    def truncate_kernel(self, part: str, length: int) -> None:
        """Leaves the first `length` bytes of a slot's kernel image, as a write that broke off does."""
        fat = f"{self.path}@@{self.image.part(part).start}"
        with tempfile.TemporaryDirectory() as scratch:
            whole = Path(scratch) / "gantry.efi"
            subprocess.run(["mcopy", "-i", fat, "::gantry.efi", whole], check=True)
            os.truncate(whole, length)
            subprocess.run(["mdel", "-i", fat, "::gantry.efi"], check=True)
            subprocess.run(["mcopy", "-i", fat, whole, "::gantry.efi"], check=True)

    def record_is(self, part: str, revision: int, state: str) -> None:
        """Rewrites a slot's record with the loader's own tool, as an update does."""
        fat = f"{self.path}@@{self.image.part(part).start}"
        with tempfile.TemporaryDirectory() as scratch:
            record = Path(scratch) / "BGENV.DAT"
            subprocess.run(["mcopy", "-i", fat, "::BGENV.DAT", record], check=True)
            change = ["bg_setenv", "-f", record, "--preserve", f"--revision={revision}", f"--ustate={state}"]
            subprocess.run(change, check=True, capture_output=True)
            subprocess.run(["mcopy", "-o", "-i", fat, record, "::BGENV.DAT"], check=True)

    def record(self, part: str) -> str:
        """A slot's record, as the loader's own tool shows it."""
        fat = f"{self.path}@@{self.image.part(part).start}"
        with tempfile.TemporaryDirectory() as scratch:
            record = Path(scratch) / "BGENV.DAT"
            subprocess.run(["mcopy", "-i", fat, "::BGENV.DAT", record], check=True)
            shown = ["bg_printenv", "-f", record]
            return subprocess.run(shown, check=True, capture_output=True, text=True).stdout
