"""What an export wrote."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

# Rows in expected.csv, at most.
ROWS = 512


@dataclass
class Exported:
    """What was written, and the command that imports it."""

    #: The model in its library's format, or serin's file after an import.
    model: Path
    #: The rows with the original's answers; None after an import, which has compared them.
    expected: Path | None
    rows: int
    #: The command that imports the model, or None if that is done.
    command: list[str] | None
    notes: list[str]

    def __str__(self) -> str:
        notes = [f"note: {note}" for note in self.notes]
        if self.command is None:
            return "\n".join([f"wrote {self.model}; serin repeats the answers of {self.rows} rows", *notes])
        written = f"wrote {self.model} and {self.rows} rows with its answers in {self.expected}"
        return "\n".join([written, *notes, "next:", "  " + shlex.join(self.command)])

    __repr__ = __str__
