"""What the text rules cost and accept, without speech: rows a second on one core, reasons.

    python -m benchmarks.text                      # the three sets of ../shared/data/instructions
    python -m benchmarks.text --limit 50 rows.json ...

Rates are of both texts of a row, its instruction and its answer, in CPU time of one core: the best
of several rounds over the same rows. ``plain`` are rows of the English sets in which nothing needs
a verbalizer (no digit, sign, markup or abbreviation), with answers that fit. The limits are those
of examples/instruct_s2s.yaml. The last line is JSON.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from transforms.randomness import draw
from transforms.text.language import language
from transforms.text.rules import VERSION, Spoken, rewrite_instruction, shorten_response
from transforms.text.speakable import Limits, problems

ROOT = Path(__file__).parents[1]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
DATA = ROOT.parent / "shared" / "data" / "instructions"
SETS = ("alpaca_en_1k.json", "alpaca_zh_1k.json", "alpaca_eval_805.json")
PLAIN = re.compile(r"[A-Za-z ,?!']+(?:\. [A-Za-z ,?!']+)*\.?")
ROUNDS = 5
SHOWN_REASONS = 8


@dataclass(frozen=True)
class Row:
    """An Alpaca row and its language."""

    key: str
    instruction: str
    input: str
    output: str
    lang: str


@dataclass(frozen=True)
class Said:
    """A row as it is spoken, or why it is not."""

    row: Row
    question: str
    answer: str
    reasons: tuple[tuple[str, str], ...]


def read_rows(path: Path, limit: int | None = None) -> list[Row]:
    """The rows of an Alpaca file; Chinese if its name says so."""
    lang = "zh" if "_zh" in path.stem else "de" if "_de" in path.stem else "en"
    items = json.loads(path.read_text(encoding="utf-8"))[:limit]
    return [
        Row(str(n), item["instruction"], item.get("input") or "", item["output"], lang)
        for n, item in enumerate(items)
    ]


def say(row: Row, job: dict[str, Any]) -> Said:
    """Both texts of a row by the rules and the check, with the job's limits."""
    rewrite, respond = job["rewrite"], job["respond"]
    question = rewrite_instruction(
        row.instruction,
        row.input,
        row.lang,
        max_input_chars=_limit(rewrite["max_input_chars"], row.lang),
        filler_rate=rewrite["filler_rate"],
        max_chars=_limit(rewrite["max_chars"], row.lang),
        draw=partial(draw, job["seed"], "rewrite", row.key, "0"),
    )
    answer = shorten_response(
        row.output,
        row.lang,
        max_chars=_limit(respond["max_chars"], row.lang),
        asked=row.instruction,
    )
    return Said(row, question.text, answer.text, _reasons(question, answer, row.lang, job))


def load_job() -> dict[str, Any]:
    """The settings of the shipped job."""
    job: dict[str, Any] = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    return job


def main() -> None:
    """Measure each set and the plain rows; print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.text")
    parser.add_argument("rows", nargs="*", type=Path, default=[DATA / name for name in SETS])
    parser.add_argument("--limit", type=int, help="rows of each set")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    job = load_job()
    figures: dict[str, Any] = {"rules_version": VERSION, "rounds": options.rounds}
    plain: list[Row] = []
    for path in options.rows:
        rows = read_rows(path, options.limit)
        figures[path.stem] = _figures(rows, job, options.rounds)
        plain += [row for row in rows if row.lang == "en" and _is_plain(row, job)]
    if plain:
        figures["plain"] = {
            "rows": len(plain),
            "rows_s": round(_rate(plain, job, options.rounds)),
        }
    print(json.dumps(figures))


def _limit(values: dict[str, int], lang: str) -> int:
    return values.get(lang, values["default"])


def _reasons(
    question: Spoken, answer: Spoken, lang: str, job: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    found = (*question.reasons, *answer.reasons)
    if found:
        return found
    limits = Limits(**job["speakable"])
    return (*problems(question.text, lang, limits), *problems(answer.text, lang, limits))


def _is_plain(row: Row, job: dict[str, Any]) -> bool:
    texts = (row.instruction, row.input, row.output)
    fits = len(row.output) <= _limit(job["respond"]["max_chars"], row.lang)
    return fits and all(not text or PLAIN.fullmatch(text) for text in texts)


def _figures(rows: Sequence[Row], job: dict[str, Any], rounds: int) -> dict[str, Any]:
    said = [say(row, job) for row in rows]
    accepted = [item for item in said if not item.reasons]
    reasons = Counter(item.reasons[0][0] for item in said if item.reasons)
    return {
        "rows": len(rows),
        "accepted_percent": round(100 * len(accepted) / len(rows), 1),
        "reasons": dict(reasons.most_common(SHOWN_REASONS)),
        "rows_s": round(_rate(rows, job, rounds)),
    }


def _rate(rows: Sequence[Row], job: dict[str, Any], rounds: int) -> float:
    """Rows a second of CPU time, the best of ``rounds``, with the languages loaded before."""
    for lang in {row.lang for row in rows}:
        language(lang).say("1 and 2nd")
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for row in rows:
            say(row, job)
        best = min(best, time.process_time() - began)
    return len(rows) / best


if __name__ == "__main__":
    main()
