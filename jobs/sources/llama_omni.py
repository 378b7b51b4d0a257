"""LLaMA-Omni's published JSON: turns of from, text, speech (a path or bytes) and unit.

Also its inference input, ``{id, speech, conversations: [{from, value}]}``, in which one file is the
first human turn and nobody says what is heard in it.
"""

from collections.abc import Mapping
from typing import Final

from jobs.sources.adapters import SHAREGPT_ROLES
from jobs.sources.fields import (
    Defaults,
    conversation,
    malformed,
    optional_text,
    require_list,
    require_object,
)
from jobs.sources.messages import role_of
from jobs.sources.parts import AudioFolder, audio_of, heard, imported
from schemas.conversation import Conversation, ImportedUnits, Turn
from schemas.unitset import UnitSet

WHO: Final = "llama_omni"
MARK: Final = "<speech>"


def adapt_llama_omni(
    value: object, defaults: Defaults, folder: AudioFolder, unit_set: UnitSet | None
) -> Conversation:
    """A row as a conversation. Raises MalformedRow, naming the turn and the path."""
    row = require_object(value, WHO, "an object with 'conversation'")
    if row.get("conversation") is None and row.get("speech") is not None:
        return conversation(row, _inference(row, folder), defaults, WHO)
    turns: list[Turn] = []
    units: list[ImportedUnits] = []
    for number, item in enumerate(require_list(row, "conversation", WHO)):
        who = f"{WHO}: turn {number + 1}"
        said = require_object(item, who, "an object with 'from', 'text' and 'speech'")
        role = role_of(said, "from", who, SHAREGPT_ROLES)
        audio = audio_of(said.get("speech"), folder, who)
        turns.append(heard(role, optional_text(said, "text", who), audio, who))
        units += imported(number, said.get("unit"), said.get("durations"), unit_set, who)
    made = conversation(row, turns, defaults, WHO)
    return {**made, "imported": units} if units else made


def _inference(row: Mapping[str, object], folder: AudioFolder) -> list[Turn]:
    turns = []
    heard_yet = False
    for number, item in enumerate(require_list(row, "conversations", WHO)):
        who = f"{WHO}: turn {number + 1}"
        said = require_object(item, who, "an object with 'from' and 'value'")
        role = role_of(said, "from", who, SHAREGPT_ROLES)
        text = optional_text(said, "value", who)
        audio = None
        if MARK in text:
            if heard_yet:
                malformed(who, f"a second {MARK}", "one, as there is one file", "split the row")
            heard_yet = True
            # what stands beside the mark is a prompt; what is heard in the file is not said
            audio, text = audio_of(row["speech"], folder, who), optional_text(row, "text", who)
        turns.append(heard(role, text, audio, who))
    return turns
