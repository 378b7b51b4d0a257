"""What sources with audio share: a turn's audio, its units, and paths that stay in their folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.sources.fields import echo, malformed, shown
from schemas.conversation import ImportedUnits, Turn
from schemas.errors import StoreError
from schemas.store import Store, StoreAddress, open_store
from schemas.unitset import UnitSet

MAX_UNIT: Final = 2**31 - 1
_UNIT: Final = re.compile(r"\d+")
_BETWEEN: Final = re.compile(r"[\s,<>|\[\]]*")


@dataclass(frozen=True)
class AudioFolder:
    """A folder, or a place in a bucket, to which the paths in rows are relative."""

    address: StoreAddress

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.address.uri

    def read(self, path: str, who: str) -> bytes:
        """A file's bytes. Raises MalformedRow for a path that leaves the folder, or no file."""
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or not path:
            malformed(
                who,
                f'the audio path "{echo(path)}"',
                f"a path inside {self.place}, without '..', with '/'",
                "write paths relative to source.audio_folder",
            )
        try:
            return self._store().get("/".join(part for part in parts if part not in ("", ".")))
        except StoreError:
            malformed(
                who,
                f'no file at the audio path "{echo(path)}"',
                f"a file below {self.place}",
                "set source.audio_folder, or remove the row",
            )

    def _store(self) -> Store:
        return open_store(self.address)


def heard(
    role: str, text: str, audio: bytes | None, who: str, provenance: str = "imported"
) -> Turn:
    """A turn with or without audio. Raises MalformedRow for audio of 0 bytes."""
    if audio is not None and not audio:
        malformed(who, "audio of 0 bytes", "an audio file", "write the audio again")
    return {
        "role": role,
        "text": text,
        "input": "",
        "audio": audio,
        "provenance": "" if audio is None else provenance,
    }


def audio_of(value: object, folder: AudioFolder | None, who: str) -> bytes | None:
    """Audio as rows give it: bytes, ``datasets``' {bytes, path}, or a path; None where null."""
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        value = data if data is not None else path
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if folder is None:
            malformed(who, "a path in the place of audio", "audio bytes", "embed the audio")
        return folder.read(value, who)
    malformed(who, f"audio is {shown(value)}", "bytes, {bytes, path} or a path", "correct the row")


def units_of(value: object, who: str) -> list[int]:
    """Unit ids from a list, from "12 13", "12,13" or "<12><13>". Raises MalformedRow."""
    if isinstance(value, str):
        if _UNIT.sub("", _BETWEEN.sub("", value)):
            malformed(who, f"units are {shown(value)}", "numbers", "write '12 13' or <12><13>")
        value = [int(number) for number in _UNIT.findall(value)]
    if not isinstance(value, list) or not all(_is_unit(item) for item in value):
        malformed(who, f"units are {shown(value)}", "a list of numbers from 0", "correct the row")
    return list(value)


def imported(
    turn: int, value: object, durations: object, unit_set: UnitSet | None, who: str
) -> list[ImportedUnits]:
    """The units of a turn under the job's unit set; none where there are none, or it has none."""
    if unit_set is None or value is None or value == "" or value == []:
        return []
    lengths = None if durations is None else units_of(durations, f"{who}: durations")
    codes = units_of(value, who)
    return [{"turn": turn, "set": unit_set.name, "codes": codes, "durations": lengths}]


def plain_lists(value: Any) -> Any:  # noqa: ANN401 - what NumPy and Parquet give
    """A NumPy array of units as a list: [T], or [1, T]."""
    rows = value.tolist()
    return rows[0] if rows and isinstance(rows[0], list) and len(rows) == 1 else rows


def _is_unit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UNIT
