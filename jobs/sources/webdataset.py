"""WebDataset tars as a source: members of one key, side by side in the tar, are one row."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from jobs.sources.fields import (
    Defaults,
    conversation,
    echo,
    malformed,
    optional_text,
    require_object,
    shown,
)
from jobs.sources.parts import heard, imported, plain_lists
from jobs.sources.raw import BadRow, RawRow
from jobs.sources.stored import StoredFile
from jobs.sources.tar import TarFault, TarMember, walk
from schemas.conversation import Conversation, ImportedUnits, Turn
from schemas.shard import read_npy
from schemas.unitset import UnitSet

EXTENSIONS: Final = (".tar",)
MAX_MEMBERS: Final = 1000  # of one sample
_TURN: Final = re.compile(r"(\d{2,4})\.(system|user|assistant)\.(flac|wav|mp3|ogg|opus)", re.I)
_ROLES: Final = {"question": "user", "answer": "assistant"}


def read_tars(files: Iterable[StoredFile]) -> Iterator[RawRow | BadRow]:
    """A row per key: {"key", "members": {suffix: bytes}}; a fault of the tar is a row too."""
    for file in files:
        if not file.size:
            yield BadRow(b"", file.name, "the tar is empty (0 bytes); write it again")
            continue
        with file.open() as stream:
            yield from _samples(walk(stream, file.size), file.name)


def _samples(items: Iterator[TarMember | TarFault], file: str) -> Iterator[RawRow | BadRow]:
    key, members = "", dict[str, bytes]()
    for item in items:
        if isinstance(item, TarFault):
            yield BadRow(item.raw, file, item.message.encode("utf-8", "replace").decode())
            continue
        place = _split(item.name)
        if place is None or len(members) >= MAX_MEMBERS:
            name = item.name.encode("utf-8", "backslashreplace").decode()
            yield BadRow(
                name.encode() + item.data[:64],
                f"{file}:{echo(name)}",
                f"member \"{echo(name)}\": wanted a relative name KEY.EXTENSION without '..', and "
                f"at most {MAX_MEMBERS} members of a key; rename it",
            )
            continue
        if place[0] != key or place[1] in members:
            if members:
                yield _row(key, members, file)
            key, members = place[0], {}
        members[place[1]] = item.data
    if members:
        yield _row(key, members, file)


def _row(key: str, members: dict[str, bytes], file: str) -> RawRow:
    return RawRow({"key": key, "members": members}, f"{file}:{key}")


def _split(name: str) -> tuple[str, str] | None:
    """Key and suffix at the first dot of the last part, as webdataset does; None for odd names."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return None
    parts = [part for part in name.split("/") if part != "."]
    if name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
        return None
    folder, base = posixpath.split("/".join(parts))
    stem, dot, suffix = base.partition(".")
    if not dot or not stem or not suffix:
        return None
    return posixpath.join(folder, stem), suffix


def adapt_tar_sample(
    value: object, defaults: Defaults, members: Mapping[str, str], unit_set: UnitSet | None
) -> Conversation:
    """A sample as a conversation. Raises MalformedRow, naming the member.

    Without ``members``: audio in members 00.user.flac, 01.assistant.wav and so on; texts in
    00.user.txt, or in the list ``turns`` of the member json. With it: one pair, whose
    question_audio, question_text, answer_audio and answer_text are suffixes, or ``json:field``.
    """
    row = require_object(value, "webdataset", "a sample")
    files = row["members"]
    assert isinstance(files, dict)
    record = _json(files) if "json" in files else {}
    turns = _mapped(files, record, members) if members else _numbered(files, record)
    own = {**record, "id": record.get("id") or row["key"]}
    made = conversation(own, turns, defaults, "webdataset")
    found: list[ImportedUnits] = []
    if unit_set is not None:
        for number, turn in enumerate(turns):
            found += _units(files, number, turn["role"], unit_set)
    return {**made, "imported": found} if found else made


def _numbered(files: Mapping[str, bytes], record: Mapping[str, object]) -> list[Turn]:
    texts = _texts(record)
    places: dict[int, tuple[str, str | None]] = {n: (role, None) for n, (role, _) in texts.items()}
    for name in files:
        match = _TURN.fullmatch(name)
        if match:
            places[int(match[1])] = (match[2].lower(), name)
    if not any(suffix for _, suffix in places.values()):
        malformed(
            "webdataset",
            f"the members {echo(', '.join(sorted(files)))}",
            "audio in members such as 00.user.flac and 01.assistant.flac",
            "name your members under source.members",
        )
    turns = []
    for number, (role, suffix) in sorted(places.items()):
        text = texts.get(number, ("", ""))[1]
        said = f"{number:02d}.{role}.txt"
        if said in files:
            text = _text(files[said], said)
        audio = None if suffix is None else files[suffix]
        turns.append(heard(role, text, audio, f"member {suffix}"))
    return turns


def _texts(record: Mapping[str, object]) -> dict[int, tuple[str, str]]:
    """Role and text by turn, from the list ``turns`` of a sample's json."""
    listed = record.get("turns")
    if listed is None:
        return {}
    if not isinstance(listed, list):
        malformed("member json", f"'turns' is {shown(listed)}", "a list", "correct the member")
    texts = {}
    for place, item in enumerate(listed):
        turn = require_object(item, "member json: turns", "objects with 'role' and 'text'")
        number = turn.get("turn", place)
        if not isinstance(number, int) or not 0 <= number < 10_000:
            malformed("member json", f"'turn' is {shown(number)}", "a number", "correct it")
        said = optional_text(turn, "spoken_text", "member json")
        said = said or optional_text(turn, "text", "member json")
        texts[number] = (optional_text(turn, "role", "member json"), said)
    return texts


def _mapped(
    files: Mapping[str, bytes], record: Mapping[str, object], members: Mapping[str, str]
) -> list[Turn]:
    turns = []
    for what, role in _ROLES.items():
        audio_name, text_name = members.get(f"{what}_audio"), members.get(f"{what}_text")
        if audio_name is None and text_name is None:
            continue
        audio = None
        if audio_name is not None:
            if audio_name not in files:
                there = echo(", ".join(sorted(files)))
                malformed(f"member {audio_name}", f"it is not among {there}", "it", "add it")
            audio = files[audio_name]
        text = "" if text_name is None else _named_text(files, record, text_name)
        turns.append(heard(role, text, audio, f"member {audio_name}"))
    return turns


def _named_text(files: Mapping[str, bytes], record: Mapping[str, object], name: str) -> str:
    if name.startswith("json:"):
        value: object = record
        for key in name.removeprefix("json:").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return optional_text({name: value}, name, "member json")
    return _text(files[name], name) if name in files else ""


def _units(
    files: Mapping[str, bytes], number: int, role: str, unit_set: UnitSet
) -> list[ImportedUnits]:
    name = f"{number:02d}.{role}.{unit_set.name}.npy"
    lengths = name.removesuffix("npy") + "durations.npy"
    if name not in files:
        return []
    return imported(number, _array(files, name), _array(files, lengths), unit_set, f"member {name}")


def _array(files: Mapping[str, bytes], name: str) -> Any:  # noqa: ANN401 - numbers, checked later
    if name not in files:
        return None
    try:
        return plain_lists(read_npy(files[name]))
    except (ValueError, EOFError, OSError) as error:
        malformed(f"member {name}", f"not a .npy file ({error})", "an array of numbers", "write it")


def _json(files: Mapping[str, bytes]) -> Mapping[str, object]:
    text = _text(files["json"], "json")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        malformed("member json", f"not JSON ({error})", "an object", "correct the member")
    return require_object(value, "member json", "an object")


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        malformed(f"member {name}", "not UTF-8", "a text in UTF-8", "save it as UTF-8")


MEMBER_KEYS: Final[Sequence[str]] = (
    "question_audio",
    "question_text",
    "answer_audio",
    "answer_text",
)
