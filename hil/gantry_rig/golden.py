"""Screens held against pictures of text. UPDATE_GOLDEN=1 draws them anew; look at the difference, then commit it."""

import os
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "screens"
CHANGES = [
    (re.compile(r"Gantry [0-9]+\.[0-9]+\.[0-9]+\S*"), "Gantry <release>"),
    (re.compile(r"(slot [AB]) .*"), r"\1  <how it is>"),
    (re.compile(r"^(  lan[0-9]  ).*(\n {8}.*)*", re.MULTILINE), r"\1<addresses>"),
    (re.compile(r"[0-9]+ (s|min|h|d)\b"), r"<n> \1"),
    (re.compile(r"(Seconds left +)[0-9]+"), r"\1<n>"),
    (re.compile(r">10\.0\.[2-4]\.3\b"), ">10.0.<n>.3"),
    (re.compile(r"\n{3,}"), "\n\n"),
]
"""What is another at each run: the release, how the box is just now, addresses that come in their own time and take
more lines or fewer, whose name server is offered first, times."""


def same(name: str, screens: list[tuple[str, str]]) -> None:
    """Fails if a screen is not as in its picture."""
    drawn = "".join(f"### {title}\n{text}\n" for title, text in screens)
    for pattern, by in CHANGES:
        drawn = pattern.sub(by, drawn)
    picture = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(drawn)
    assert drawn == picture.read_text(), f"{picture} is another picture; UPDATE_GOLDEN=1 draws it anew"
