"""Whether a rewritten instruction asks the same: what counts as kept, and what as lost."""

import json
from pathlib import Path

import pytest

from transforms.randomness import draw
from transforms.replies.meaning import ALL_KEPT, meaning_flaws
from transforms.text.rules import rewrite_instruction

DATA = Path(__file__).parents[4] / "shared" / "data"

KEPT = [
    ("Name 3 colors.", "Hey, could you name three colors?"),
    ("What happened in 1984?", "So, what happened in nineteen eighty four?"),
    ("What happened in 1984?", "What happened in one thousand nine hundred eighty-four?"),
    ("Add 2,500 and 12.", "Um, what do you get when you add two thousand five hundred and twelve?"),
    ("Explain how the NASA budget works.", "Could you explain how NASA's budget works?"),
    ("Tell me about Ada Lovelace.", "Who was Ada Lovelace?"),
    ("Write a poem without the letter e.", "Write me a poem that does not use the letter e."),
    ("List the 1st president of France.", "Who was the first president of France?"),
    ("Multiply 15 by 20%.", "What is fifteen times twenty percent?"),
]
LOST = [
    ("Name 3 colors.", "Could you name some colors?", "lost_number"),
    ("Name 3 colors.", "Could you name thirteen colors?", ""),
    ("Compare Paris with Rome and Oslo.", "Could you compare some cities?", "lost_name"),
    ("Write a poem, but do not rhyme.", "Write me a poem that rhymes.", "lost_negation"),
    ("Why is the sky blue?", "The sky is blue.", "no_question"),
]
CHINESE = [
    ("列出3种水果。", "请说出三种水果。", ""),
    ("列出3种水果。", "请说出几种水果。", "lost_number"),
    ("写一首不押韵的诗。", "写一首押韵的诗。", "lost_negation"),
    ("北京是什么样的城市？", "请问北京是个什么样的城市？", ""),
    ("北京大吗？", "北京很大。", "no_question"),
    ("2023年发生了什么？", "请问二零二三年发生了什么？", ""),
]


@pytest.mark.parametrize(("source", "said"), KEPT)
def test_a_faithful_rewrite_is_accepted(source: str, said: str) -> None:
    assert meaning_flaws(source, said, "en", ALL_KEPT) == []


@pytest.mark.parametrize(("source", "said", "code"), [item for item in LOST if item[2]])
def test_what_is_lost_is_named(source: str, said: str, code: str) -> None:
    assert [found for found, _ in meaning_flaws(source, said, "en", ALL_KEPT)] == [code]


@pytest.mark.parametrize(("source", "said", "code"), CHINESE)
def test_chinese_rewrites_are_judged_alike(source: str, said: str, code: str) -> None:
    found = [name for name, _ in meaning_flaws(source, said, "zh", ALL_KEPT)]
    assert found == ([code] if code else [])


def test_only_what_the_job_wants_kept_is_looked_at() -> None:
    assert meaning_flaws("Name 3 colors.", "Name some colors.", "en", ("question",)) == []


@pytest.mark.parametrize(("name", "lang"), [("alpaca_en_1k", "en"), ("alpaca_zh_1k", "zh")])
def test_few_rewrites_of_the_rules_are_called_unfaithful(name: str, lang: str) -> None:
    """The rules change no meaning, so what is found in their rewrites is a false alarm."""
    found = sorted(DATA.glob(f"**/{name}*"))
    if not found:
        pytest.skip(f"{DATA} holds no {name}")
    rows = json.loads(found[0].read_text("utf-8"))[:500]
    alarms, judged = [], 0
    for row in rows:
        said = rewrite_instruction(row["instruction"], "", lang, draw=lambda label: draw(1, label))
        if said.reasons:
            continue
        judged += 1
        flaws = meaning_flaws(row["instruction"], said.text, lang, ALL_KEPT)
        if flaws:
            alarms.append((row["instruction"], said.text, flaws))
    assert judged > 300
    assert len(alarms) <= 0.02 * judged, alarms


GERMAN = [
    ("Nenne 3 Farben.", "Sag mal, kannst du mir drei Farben nennen?", ""),
    ("Nenne 3 Farben.", "Kannst du mir ein paar Farben nennen?", "lost_number"),
    ("Was geschah 1989?", "Was ist neunzehnhundertneunundachtzig geschehen?", ""),
    ("Rechne 2.500 plus 12.", "Was ist zweitausendfünfhundert plus zwölf?", ""),
    ("Was sind 3,5 Prozent davon?", "Wie viel sind drei Komma fünf Prozent davon?", ""),
    ("Was war am 3. Oktober?", "Was ist am dritten Oktober gewesen?", ""),
    (
        "Schreibe ein Gedicht, das sich nicht reimt.",
        "Schreib ein Gedicht, das sich reimt.",
        "lost_negation",
    ),
    ("Schreibe einen Text ohne Kommas.", "Schreib mir einen Text, in dem kein Komma steht.", ""),
    ("Warum ist der Himmel blau?", "Der Himmel ist blau.", "no_question"),
    ("Erkläre, wer Albert Einstein war.", "Wer war eigentlich dieser Physiker?", "lost_name"),
    ("Erkläre, wer Jürgen Müller war.", "Sag mal, wer war denn Jürgen Müller?", ""),
    ("Erkläre das Prinzip der Photosynthese.", "Wie machen Pflanzen aus Licht Zucker?", ""),
    ("Erkläre den Haushalt der NASA.", "Wie sieht der Haushalt der Nasa aus?", ""),
    ("Erkläre den Haushalt der NASA.", "Wie sieht dieser Haushalt aus?", "lost_name"),
]


@pytest.mark.parametrize(("source", "said", "code"), GERMAN)
def test_german_rewrites_are_judged_alike(source: str, said: str, code: str) -> None:
    found = [name for name, _ in meaning_flaws(source, said, "de", ALL_KEPT)]
    assert found == ([code] if code else [])
