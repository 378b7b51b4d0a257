"""Hugging Face audio Parquet: a row per turn pair, audio in structs of {bytes, path}.

The layout of InstructS2S's Parquet mirror: id, round, question, question_audio, answer,
answer_audio, speech_token. Rows of one id that stand together are one conversation.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jobs.sources.fields import (
    Defaults,
    conversation,
    malformed,
    optional_text,
    require_list,
    require_object,
    shown,
)
from jobs.sources.parts import AudioFolder, audio_of, heard, imported
from jobs.sources.raw import BadRow, RawRow
from schemas.conversation import Conversation, ImportedUnits
from schemas.unitset import UnitSet

WHO: Final = "s2s_parquet"
MAX_ROUNDS: Final = 100
COLUMNS: Final[Mapping[str, str]] = {
    "id": "id",
    "round": "round",
    "question": "question",
    "question_audio": "question_audio",
    "answer": "answer",
    "answer_audio": "answer_audio",
    "units": "speech_token",
}


def read_rounds(
    rows: Iterable[RawRow | BadRow], columns: Mapping[str, str]
) -> Iterator[RawRow | BadRow]:
    """Rows of one id that follow one another, as {"rounds": [...]}; others pass as they are."""
    names = {**COLUMNS, **columns}
    rounds: list[object] = []
    origin = before = ""
    for row in rows:
        own = "" if isinstance(row, BadRow) else _own_id(row.value, names["id"])
        if rounds and (not own or own != before or len(rounds) >= MAX_ROUNDS):
            yield RawRow({"rounds": rounds}, origin)
            rounds = []
        if isinstance(row, BadRow):
            yield row
            continue
        origin = origin if rounds else row.origin
        rounds, before = [*rounds, row.value], own
    if rounds:
        yield RawRow({"rounds": rounds}, origin)


def _own_id(value: object, name: str) -> str:
    """The row's id as a text; "" where it has none, and so stands alone."""
    found = value.get(name) if isinstance(value, dict) else None
    return str(found) if isinstance(found, str | int) else ""


def adapt_rounds(
    value: object,
    defaults: Defaults,
    columns: Mapping[str, str],
    folder: AudioFolder | None,
    unit_set: UnitSet | None,
) -> Conversation:
    """A group of rows as a conversation. Raises MalformedRow, naming the round and the column."""
    names = {**COLUMNS, **columns}
    rounds = require_list(require_object(value, WHO, "rows"), "rounds", WHO)
    rows = [require_object(item, WHO, "a row of " + ", ".join(names.values())) for item in rounds]
    _check_rounds([row.get(names["round"]) for row in rows], names["round"])
    if not any(names[f"{what}{kind}"] in rows[0] for what in ("question", "answer")
               for kind in ("", "_audio")):  # fmt: skip
        malformed(
            WHO,
            f"the columns {', '.join(map(str, rows[0]))}",
            f"at least one of {names['question']}, {names['question_audio']}",
            "name your columns under source.columns",
        )
    turns, units = [], list[ImportedUnits]()
    for place, row in enumerate(rows):
        for what, role in (("question", "user"), ("answer", "assistant")):
            who = f"{WHO}: round {place + 1}, {names[what + '_audio']}"
            audio = audio_of(row.get(names[what + "_audio"]), folder, who)
            turns.append(heard(role, optional_text(row, names[what], WHO), audio, who))
        who = f"{WHO}: round {place + 1}, {names['units']}"
        units += imported(2 * place + 1, row.get(names["units"]), None, unit_set, who)
    first: dict[str, Any] = {**rows[0], "id": rows[0].get(names["id"])}
    made = conversation(first, turns, defaults, WHO)
    return {**made, "imported": units} if units else made


def _check_rounds(rounds: list[object], name: str) -> None:
    if rounds == [None] * len(rounds) and len(rounds) == 1:
        return
    start = rounds[0]
    if start not in (0, 1) or rounds != [start + n for n in range(len(rounds))]:
        found = ", ".join(shown(item) for item in rounds[:6])
        malformed(
            WHO,
            f"'{name}' is {found}",
            "0, 1, 2, ... or 1, 2, 3, ... in rows that stand together",
            "sort the rows by id and round",
        )
