"""AlpacaEval: its rows name their subset; the 80 of Vicuna have categories in a file of their own.

An id tells both, as a path: "helpful_base", or "vicuna/math/23" (the category and the number of
the question), so that a job can pick by it. Rows are matched to questions by their text.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from jobs.sources.fields import (
    Defaults,
    conversation,
    malformed,
    optional_text,
    require_object,
    require_text,
)
from jobs.sources.files import read_raw
from jobs.sources.raw import BadRow, RawRow, source_error
from schemas.conversation import Conversation, turn
from schemas.store import StoreOptions

WHO: Final = "alpaca_eval"
LAYOUT: Final = "dataset, instruction, output"
WITH_CATEGORIES: Final = "vicuna"


def adapter(
    categories: Path | str | None, options: StoreOptions
) -> Callable[[object, Defaults], Conversation]:
    """The adapter, with the categories of ``question.jsonl`` (FastChat) read and checked.

    Raises SourceError for a file that holds no questions.
    """
    known = {} if categories is None else _questions(read_raw(categories, options), str(categories))
    return lambda value, defaults: adapt(value, defaults, known)


def adapt(value: object, defaults: Defaults, known: Mapping[str, str]) -> Conversation:
    """A row of ``dataset``, ``instruction`` and optional ``output``. Raises MalformedRow."""
    row = require_object(value, WHO, "an object with 'dataset' and 'instruction'")
    subset = require_text(row, "dataset", WHO)
    text = require_text(row, "instruction", WHO)
    own = subset
    if subset == WITH_CATEGORIES and known:
        if text not in known:
            malformed(
                WHO,
                "a question of vicuna that source.categories does not know",
                "the file of the questions that the rows hold",
                "take question.jsonl of FastChat's llm_judge/data/vicuna_bench",
            )
        own = f"{subset}/{known[text]}"
    turns = [turn("user", text), turn("assistant", optional_text(row, "output", WHO))]
    return {**conversation(row, turns, defaults, WHO), "source_id": own}


def _questions(rows: Iterator[RawRow | BadRow], name: str) -> dict[str, str]:
    known: dict[str, str] = {}
    for raw in rows:
        row = raw.value if isinstance(raw, RawRow) else None
        if not isinstance(row, dict) or not {"text", "category", "question_id"} <= row.keys():
            raise source_error(
                name,
                f"a line that is no question ({raw.origin})",
                "JSON objects with question_id, text and category",
                "name FastChat's question.jsonl in source.categories",
            )
        known[str(row["text"])] = f"{row['category']}/{row['question_id']}"
    return known
