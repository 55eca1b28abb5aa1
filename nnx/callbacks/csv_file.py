"""A CSV file to which rows are added: what stands in it, and that nothing of it is spoilt."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from nnx.errors import OptionError

#: what is taken for a separator where the header is in one piece
_USUAL = ",;\t|"


class CSVFile:
    """The file at a path with its columns: none, where it does not exist or is empty.

    Raises :class:`nnx.errors.OptionError` for a file to which no row can be added: a last row that was cut
    off, one that is no text, and one with another separator.
    """

    def __init__(self, path: Path, separator: str) -> None:
        self.path = path
        self.separator = separator
        self.columns: list[str] = []
        self._line_end = "\r\n"
        #: what is missing after the last row
        self._open_end = ""

    def read(self) -> list[str]:
        """The columns of the file as it is now; nothing is changed."""
        self.columns, self._open_end = [], ""
        text = self._text() if self.path.is_file() else ""
        rows = [row for row in self._rows(text) if row]
        if not rows:
            return []
        first = text.lstrip("\r\n").splitlines(keepends=True)[0]
        self._line_end = first[len(first.rstrip("\r\n")) :] or "\r\n"
        if text.find("\r") == len(text) - 1:  # half an end of a line, and the only one
            self._line_end = "\r\n"
        if not text.endswith(("\n", self._line_end)):
            self._open_end = "\n" if text.endswith("\r") else self._line_end
        self._check(rows)
        self.columns = rows[0]
        return self.columns

    def begin(self, columns: list[str]) -> None:
        """Makes the file anew, with these columns."""
        self.columns, self._open_end, self._line_end = columns, "", "\r\n"
        self._write("w", columns)

    def add(self, row: list[Any]) -> None:
        """Adds a row; a missing end of the last one is made up for."""
        self._write("a", row)

    def touch(self) -> None:
        """Raises OSError where the file cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8"):
            pass

    def _write(self, mode: str, row: list[Any]) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator=self._line_end).writerow(row)
        # Opened for each row: nothing is left open, or unwritten, when training ends by an error.
        with open(self.path, mode, newline="", encoding="utf-8") as file:
            file.write(self._open_end + text.getvalue())
        self._open_end = ""

    def _text(self) -> str:
        try:
            # Excel begins a file of UTF-8 with a mark, which is not part of the first column's name.
            return self.path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise OptionError(f"{self._where()} it is no text in UTF-8. {_ADVICE}") from error

    def _rows(self, text: str) -> list[list[str]]:
        try:
            return list(csv.reader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True))
        except csv.Error as error:
            raise OptionError(
                f"{self._where()} it is damaged, or was cut off ({error}). {_ADVICE}"
            ) from error

    def _check(self, rows: list[list[str]]) -> None:
        header, last = rows[0], rows[-1]
        other = [c for c in _USUAL if c != self.separator and len(header) == 1 and c in header[0]]
        if other:
            raise OptionError(
                f"{self._where()} its separator seems to be {other[0]!r}, not {self.separator!r}. "
                f"Say separator={other[0]!r}, or choose another file."
            )
        cut = len(last) != len(header) or not last[0].strip().isdecimal()
        if len(rows) > 1 and header[0] == "epoch" and cut:
            raise OptionError(
                f"{self._where()} its last row, {self.separator.join(last)!r}, does not have a value for "
                f"each of the columns {', '.join(header)}: it was cut off. Delete that row. {_ADVICE}"
            )

    def _where(self) -> str:
        return f"CSVLogger: cannot append to {self.path}:"


_ADVICE = "Choose another file, or replace it: append=False."
