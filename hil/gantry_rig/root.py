"""The root of an image, looked at without starting it."""

import hashlib
import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gantry_rig.disk import Image


class Root:
    """An unpacked root."""

    def __init__(self, image: Image, to: Path) -> None:
        self.image = image
        self.folder = to
        subprocess.run(["unsquashfs", "-q", "-n", "-f", "-d", to, image.built / "root.img"], check=True)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each regular file: its path on the box, and where it is now."""
        for path in sorted(self.folder.rglob("*")):
            if stat.S_ISREG(path.lstat().st_mode):
                yield "/" + str(path.relative_to(self.folder)), path

    def names(self) -> Iterator[str]:
        """The path on the box of everything that is there."""
        for path in sorted(self.folder.rglob("*")):
            yield "/" + str(path.relative_to(self.folder))

    def listed(self) -> dict[str, str]:
        """Each file that the bill of materials lists, and its SHA-256."""
        bill = json.loads((self.image.built / "sbom.json").read_text())
        files = [part for part in bill["components"] if part["type"] == "file"]
        return {part["name"]: part["hashes"][0]["content"] for part in files}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
