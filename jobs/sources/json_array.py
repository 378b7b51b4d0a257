"""A JSON array of rows, element by element, in memory that does not grow with the file."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final, Protocol

from jobs.sources.raw import DECODER, TOO_DEEP, BadRow, RawRow, is_too_deep, source_error
from schemas.errors import SourceError

CHUNK_BYTES: Final = 1 << 16
# A token that is cut by the end of the text is reported at most this far before the end
# ("-Infinity", "\ud83d"); strings are reported at their start and told by their message.
_LONGEST_TOKEN: Final = 16
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_BRACKET_OR_STRING: Final = re.compile(r'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_UTF8: Final = "not UTF-8; wanted UTF-8; save the row as UTF-8"
_WANTED: Final = "a JSON array of objects, [{...}, {...}]"


class ByteStream(Protocol):
    """What is read: an open binary file, plain or decompressing."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class _Window:
    """The part of the text that is not consumed yet, and its place in the file.

    Bytes that are not UTF-8 arrive as lone surrogates, so that they spoil only their own row.
    """

    def __init__(self, stream: ByteStream, who: str, chunk_bytes: int) -> None:
        self.who, self.text, self.at, self.ended = who, "", 0, False
        self.line, self.column = 1, 1
        self._stream, self._chunk_bytes = stream, chunk_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def more(self) -> bool:
        """Read as much again as is pending (so a long row costs linear time); False at the end."""
        pending = self.text[self.at :]
        raw = self._stream.read(max(self._chunk_bytes, len(pending)))
        self.ended = not raw
        self.text, self.at = pending + self._decoder.decode(raw, final=self.ended), 0
        return not self.ended

    def advance(self, to: int) -> None:
        """Consume the text up to index ``to``."""
        num_newlines = self.text.count("\n", self.at, to)
        if num_newlines:
            self.line += num_newlines
            self.column = to - self.text.rfind("\n", self.at, to)
        else:
            self.column += to - self.at
        self.at = to

    def peek(self) -> str:
        """Consume white space; the character after it, or "" at the end."""
        while True:
            self.advance(_after_space(self.text, self.at))
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def decode(self) -> tuple[object, int, str]:
        """The value that starts here, its end in ``text``, and why it is bad ("" if it is not)."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                offset = error.pos - self.at
                if not self._may_be_cut(error) or not self.more():
                    self.advance(self.at + offset)
                    raise self.broken(error.msg) from None
                continue
            except RecursionError:
                return None, self._end_of_brackets(), TOO_DEEP
            # A number or literal is whole only if a delimiter follows: 12 may go on as 12.5.
            follows = self.text[end : end + 1]
            if isinstance(value, (dict, list, str)) or (follows and follows in " \t\n\r,]"):
                return value, end, self._complaint(value, end)
            offset = end - self.at
            if len(self.text) - end >= _LONGEST_TOKEN or not self.more():
                self.advance(self.at + offset)
                raise self.broken("Expecting ',' delimiter")

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        near_end = error.pos >= len(self.text) - _LONGEST_TOKEN
        return not self.ended and (near_end or error.msg.startswith("Unterminated string"))

    def _complaint(self, value: object, end: int) -> str:
        num_brackets = self.text.count("[", self.at, end) + self.text.count("{", self.at, end)
        if is_too_deep(value, num_brackets):
            return TOO_DEEP
        try:
            self.text[self.at : end].encode("utf-8")
        except UnicodeEncodeError:
            return _NOT_UTF8
        return ""

    def _end_of_brackets(self) -> int:
        """The end of the bracketed value that starts here, found without building it."""
        while True:
            depth = 0
            for match in _BRACKET_OR_STRING.finditer(self.text, self.at):
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
                if depth == 0:
                    return match.end()
            if not self.more():
                raise self.broken("a deeply nested value that never closes")

    def broken(self, what: str) -> SourceError:
        """The error for text that is not an array from this place on."""
        place = f"line {self.line} column {self.column}"
        if self.at >= len(self.text) or what.startswith("Unterminated string"):
            return source_error(
                self.who,
                f"the JSON array is cut: it ends at or after {place} ({what})",
                "a whole array that ends with ]",
                "fetch or write the file again",
            )
        return source_error(
            self.who,
            f"the JSON array is malformed at {place} ({what})",
            _WANTED,
            "correct the file there, or write one row per line as .jsonl, where a bad line fails "
            "alone",
        )


def read_array(
    stream: ByteStream, who: str, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[RawRow | BadRow]:
    """The elements in order; the origin is ``who`` and the line on which an element starts.

    An element that is not UTF-8 or nests too deep is a BadRow. Raises SourceError for text that
    is no array, and where the array is cut or malformed (after the elements before that place).
    """
    window = _Window(stream, who, chunk_bytes)
    _enter(window)
    if window.peek() != "]":
        while True:
            window.peek()
            origin = f"{who}:{window.line}"
            value, end, complaint = window.decode()
            raw = window.text[window.at : end] if complaint else ""
            window.advance(end)
            if complaint:
                yield BadRow(raw.encode("utf-8", "surrogateescape"), origin, complaint)
            else:
                yield RawRow(value, origin)
            mark = window.peek()
            if mark == "]":
                break
            if mark != ",":
                raise window.broken("Expecting ',' delimiter")
            window.advance(window.at + 1)
    window.advance(window.at + 1)
    if window.peek():
        raise window.broken("more text after the array's end")


def _enter(window: _Window) -> None:
    """Go past the opening bracket, or say what stands there instead."""
    first = window.peek()
    if first == "\ufeff":  # a byte order mark, as some editors write
        window.text = window.text[window.at + 1 :]
        window.at = 0
        first = window.peek()
    if first == "[":
        window.advance(window.at + 1)
        return
    place = f"line {window.line} column {window.column}"
    arrived, cure = f"not JSON at {place}", "check that this is the file that you meant"
    if not first:
        arrived = "the file is empty"
    elif first == "{":
        arrived = f"a single JSON object at {place}"
        cure = "put the rows into an array; if the file holds one object per line, name it .jsonl"
    elif "\ud800" <= first <= "\udfff" or first == "\0":
        arrived, cure = f"not UTF-8 text at {place}", "save the file as UTF-8"
    elif first == '"' or _is_json_scalar(window):
        arrived, cure = f"a single JSON value at {place}", "put the rows into an array"
    raise source_error(window.who, arrived, _WANTED, cure)


def _is_json_scalar(window: _Window) -> bool:
    while len(window.text) - window.at < _LONGEST_TOKEN and window.more():
        pass
    try:
        DECODER.raw_decode(window.text, window.at)
    except json.JSONDecodeError:
        return False
    return True


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
