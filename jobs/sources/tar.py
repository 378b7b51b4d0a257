"""Walks a tar member by member and says what is broken, where other readers end without a word.

``tarfile`` and ``webdataset`` take a damaged header, or a tar cut between two members, for the end
of the archive. Here both are faults; after a damaged header the walk goes on at the next sound one.
Nothing is extracted: a member's name never reaches the file system.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 512
MAX_MEMBER_BYTES: Final = 256 << 20
_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EMPTY: Final = bytes(BLOCK)


@dataclass(frozen=True)
class TarMember:
    """A plain file: its name as the tar has it, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class TarFault:
    """Something that is not as it should be, with the bytes that identify it."""

    raw: bytes
    message: str


def walk(stream: io.BufferedReader, size: int) -> Iterator[TarMember | TarFault]:
    """The plain files of an uncompressed tar of ``size`` bytes, and its faults, in order."""
    at, name, last, ended = 0, "", "(none)", False
    while at + BLOCK <= size:
        stream.seek(at)
        header = stream.read(BLOCK)
        if header == _EMPTY:
            at, ended = at + BLOCK, True
            continue
        info = _header(header)
        if info is None:
            at = _next_header(stream, at + BLOCK, size)
            yield TarFault(header, f"a damaged header after member '{last}'; fetch the tar again")
            ended, name = at >= size, ""
            continue
        ended = False
        data_at, at = at + BLOCK, at + BLOCK + -(-info.size // BLOCK) * BLOCK
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE) and info.size < 1 << 20:
            payload = stream.read(info.size)
            name = _long_name(info.type, payload) or name
            continue
        shown, name = name or info.name, ""
        if data_at + info.size > size:
            yield TarFault(
                shown.encode("utf-8", "surrogateescape"),
                f"the tar is cut in the middle of member '{shown}'; fetch it again",
            )
            return
        last = shown
        if info.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK, tarfile.DIRTYPE):
            continue
        if info.type not in _PLAIN or info.size > MAX_MEMBER_BYTES:
            kind = "too large" if info.type in _PLAIN else "no plain file"
            yield TarFault(
                header,
                f"member '{shown}' is {kind}; wanted files of up to {MAX_MEMBER_BYTES} bytes",
            )
            continue
        yield TarMember(shown, stream.read(info.size))
    if not ended:
        message = (
            f"the tar ends after member '{last}' without its end mark: it was cut; fetch it again"
        )
        yield TarFault(last.encode("utf-8", "surrogateescape"), message)


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return info if info.size >= 0 else None


def _next_header(stream: io.BufferedReader, at: int, size: int) -> int:
    """Where the next sound header or the end mark stands; ``size`` if there is none."""
    while at + BLOCK <= size:
        stream.seek(at)
        block = stream.read(BLOCK)
        if block[257:262] == b"ustar" and _header(block) is not None:
            return at
        if block == _EMPTY and stream.read(BLOCK) in (_EMPTY, b""):
            return at
        at += BLOCK
    return size


def _long_name(kind: bytes, payload: bytes) -> str:
    """The name in a GNU long name or in a pax header; "" if it holds none."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
    while payload:
        length, _, rest = payload.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(payload):
            return ""
        record = rest[: int(length) - len(length) - 1]
        key, _, value = record.partition(b"=")
        if key == b"path":
            return value.rstrip(b"\n").decode("utf-8", "surrogateescape")
        payload = payload[int(length) :]
    return ""
