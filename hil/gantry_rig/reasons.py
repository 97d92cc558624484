"""Why the box and its services stopped, as the box itself wrote it down."""

import json
from dataclasses import dataclass

from gantry_rig.shell import Shell

FILE = "/var/lib/gantry/reasons.jsonl"


@dataclass(frozen=True)
class Reason:
    """One line: what stopped ("box", a unit, "notice"), a word that never changes, a sentence, the slot left."""

    what: str
    word: str
    text: str
    fell_back_from: str | None


def reasons(shell: Shell) -> list[Reason]:
    """All that was written down, oldest first."""
    lines = [line for line in shell.run(f"cat {FILE} 2>/dev/null").splitlines() if line.startswith("{")]
    read = [json.loads(line) for line in lines]
    return [Reason(line["what"], line["word"], line["text"], line.get("fell_back_from")) for line in read]
