"""Writes docs/text_examples.md: rows of real sets before and after the text rules.

    python -m benchmarks.text_examples             # from ../shared/data/instructions

For each feature below, the first short row of a set that shows it, in the order of the file. Quotes
are cut at `QUOTE_CHARS`. The page depends on the rules and the sets alone: run it again after a
change of the rules, and read the difference.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.text import DATA, ROOT, Said, load_job, read_rows, say
from transforms.text.rules import VERSION

PAGE = ROOT / "docs" / "text_examples.md"
QUOTE_CHARS = 240

Shows = Callable[[Said], bool]


@dataclass(frozen=True)
class Feature:
    """What an example shows, the set it comes from, and how it is found."""

    title: str
    source: str
    shows: Shows


def _question(pattern: str) -> Shows:
    found = re.compile(pattern)
    return lambda said: not said.reasons and bool(found.search(said.row.instruction))


def _answer(pattern: str, kept: str = "") -> Shows:
    found, after = re.compile(pattern), re.compile(kept)
    return lambda said: bool(
        said.answer and found.search(said.row.output[:200]) and after.search(said.answer)
    )


def _filler(start: str) -> Shows:
    return lambda said: (
        said.question.startswith(start) and not said.row.instruction.startswith(start)
    )


def _rejected(code: str, detail: str = "") -> Shows:
    return lambda said: (
        bool(said.reasons) and said.reasons[0][0] == code and detail in said.reasons[0][1]
    )


EN, ZH, EVAL = "alpaca_en_1k", "alpaca_zh_1k", "alpaca_eval_805"
FEATURES = (
    Feature("A cardinal number", EN, _question(r"\b\d{1,2} [a-z]")),
    Feature("Money", EN, _question(r"\$\d")),
    Feature("A last sentence that is the answer", EN, lambda s: " So, the " in s.answer),
    Feature("A sum", EN, _question(r"\d ?[x+] ?\d")),
    Feature("A fraction", EN, _answer(r"\d/\d", "half|quarter|third|over|divided")),
    Feature("A year", EN, _answer(r"\b(?:1[89]|20)\d\d\b", "nineteen|twenty")),
    Feature("A Roman numeral", EVAL, _question(r"World War I")),
    Feature("A decade", EVAL, _question(r"19\d0s")),
    Feature("A time of day", EVAL, _question(r"\d ?[ap]m\b")),
    Feature("An abbreviation", EVAL, _answer(r"e\.g\.", "for example")),
    Feature("A question without its mark", EVAL, _question(r"^(?:who|what|how) [a-z ]+$")),
    Feature("A request with a filler", EN, _filler("Could you")),
    Feature("A question with a filler", EN, _filler("Um, ")),
    Feature("An input that is merged", EN, lambda s: s.question != "" != s.row.input),
    Feature("An input that is a list", EN, lambda s: bool(s.question and s.row.input[:1] == "[")),
    Feature("A list of short items", EN, _answer(r"^1\. \w+ ?\n2\. \w+ ?\n3\.", ", and ")),
    Feature("A numbered list", EN, _answer(r"^1\. ", "^First, ")),
    Feature("A list told by its labels", EN, _answer(r"\n\n1\. [A-Z][a-z]+: ", ", and ")),
    Feature("Bold labels", EVAL, _answer(r"\n1\. \*\*\w+", ", and ")),
    Feature("An opening that says nothing", EN, _answer("^Sure!")),
    Feature("Quotes and brackets", EN, _answer(r"\(.{1,30}\)", ", ")),
    Feature("An answer cut at a sentence end", EN,
            lambda s: bool(s.answer) and len(s.row.output) > 400 and "\n" not in s.row.output),
    Feature("Chinese: a number and its measure", ZH, _question(r"\d个|[三3]部")),
    Feature("Chinese: a list", ZH, _answer(r"^1\. ", "第一")),
    Feature("Chinese: a list of labels", ZH, _answer(r"\n1\. .{2,8}：", "、")),
    Feature("Chinese: a percentage or a date", ZH, _answer(r"\d%|\d{4}年", "百分之|年")),
    Feature("Rejected: code", EN, _rejected("code")),
    Feature("Rejected: a recipe that does not fit", EVAL, _rejected("incomplete", "recipe")),
    Feature("Rejected: an input that cannot be said", EN, _rejected("input_not_speakable")),
    Feature("Rejected: a list that fits in no form", EN, _rejected("list_too_long")),
)  # fmt: skip


def main() -> None:
    """Write the page, or say which feature no row shows."""
    parser = argparse.ArgumentParser("benchmarks.text_examples")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    job = load_job()
    said = {
        name: [say(row, job) for row in read_rows(options.data / f"{name}.json")]
        for name in (EN, ZH, EVAL)
    }
    used: set[tuple[str, str]] = set()
    parts = [_HEAD.format(version=VERSION)]
    for number, feature in enumerate(FEATURES, start=1):
        found = next(
            (
                item
                for item in _shortest_first(said[feature.source])
                if (feature.source, item.row.key) not in used and feature.shows(item)
            ),
            None,
        )
        if found is None:
            raise SystemExit(f"no row of {feature.source} shows: {feature.title}")
        used.add((feature.source, found.row.key))
        parts.append("\n".join(_example(number, feature, found)))
    options.page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"{options.page}: {len(FEATURES)} examples")


_HEAD = """# The text rules on real rows

Thirty rows before and after, by rules version {version}. Written by
`python -m benchmarks.text_examples`: run it again rather than edit this page. The sets are
development data of the Alpaca family (CC BY-NC 4.0), quoted in short; a row's number is its place
in the file, from 0. `...` marks where a quote is cut, `⏎` a line break.
What each rule does: [text.md](text.md)."""


def _shortest_first(said: list[Said]) -> list[Said]:
    return sorted(
        said, key=lambda item: len(item.row.instruction + item.row.input + item.row.output)
    )


def _example(number: int, feature: Feature, said: Said) -> Iterator[str]:
    row = said.row
    yield f"**{number}. {feature.title}** ({feature.source}, row {row.key})\n"
    yield f"- asked: {_quote(row.instruction)}" + (
        f" / input: {_quote(row.input)}" if row.input else ""
    )
    if said.question:
        yield f"- said: {_quote(said.question)}"
    yield f"- answer: {_quote(row.output)}"
    if said.reasons:
        code, detail = said.reasons[0]
        yield f"- rejected: `{code}`, {detail}"
    elif said.answer:
        yield f"- said: {_quote(said.answer)}"


def _quote(text: str) -> str:
    line = " ⏎ ".join(part.strip() for part in text.splitlines() if part.strip())
    shown = line if len(line) <= QUOTE_CHARS else line[:QUOTE_CHARS].rstrip() + " ..."
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


if __name__ == "__main__":
    main()
