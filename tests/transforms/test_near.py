"""Near duplicates: a verdict that depends on older rows alone, in whatever order they come."""

import random
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.columns import Reason
from schemas.conversation import Conversation, Turn, turn
from tests.builders import conversation, heard, run_step
from tests.sound import pcm16, sine, wav
from transforms import near as near_module
from transforms.dedup import Dedup, FindDuplicates, Near
from transforms.minhash import least_matches, signatures, similarity, tokens
from transforms.near import MAX_OLDER, band_rows, find_like, roots

NEAR = Near(threshold=0.7, num_perm=128, shingle=2)
FIT = FindDuplicates(near=NEAR)
WORDS = [f"word{number}" for number in range(12)]
ANSWER = "It is a small town on the coast, and people come in summer to swim and to eat fish."
ANSWERS = ("It is a small town on the coast, and many come in summer to swim and to eat fish.",)


def batch(rows: list[tuple[str, int, list[Turn]]]) -> pa.RecordBatch:
    """Rows as (id, born, turns)."""
    columns = [{"id": key, "born": born, "turns": turns} for key, born, turns in rows]
    return pa.RecordBatch.from_pylist(columns, schema=FIT.reads)


def verdicts(
    rows: list[tuple[str, int, list[Turn]]], fit: FindDuplicates = FIT
) -> dict[str, Reason]:
    """The reason of each row that is rejected."""
    return judged([key for key, *_ in rows], fit.finalize(fit.merge([fit.partial(batch(rows), 1)])))


def judged(ids: list[str], artifact: bytes) -> dict[str, Reason]:
    table = pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], schema=Dedup.reads)
    found = run_step(Dedup(), table, {"duplicates": artifact})
    return {key: row["dedup_reasons"][0] for key, row in zip(ids, found, strict=True)
            if row["dedup_reasons"]}  # fmt: skip


def pair(one: Conversation, other: Conversation, fit: FindDuplicates = FIT) -> dict[str, Reason]:
    return verdicts([("a-0", 1, one["turns"]), ("b-0", 1, other["turns"])], fit)


def asked(text: str) -> list[Turn]:
    return [turn("user", text)]


def random_rows(chance: random.Random, count: int) -> list[tuple[str, int, list[Turn]]]:
    """Rows of few words, so that many are alike; two births."""
    kept = [chance.sample(WORDS, 10) for _ in range(3)]
    rows = []
    for number in range(count):
        words = list(chance.choice(kept))
        for _ in range(chance.randrange(3)):
            words[chance.randrange(len(words))] = chance.choice(WORDS)
        text = " ".join(words)[: chance.randrange(20, 99)] + chance.choice(
            ["", "!", "\u200b", "\u200dx"]
        )
        system = chance.choice([[], [], [turn("system", "Be kind")], [turn("system", "be kind.")]])
        key = f"{chance.randrange(1000):03d}-{number}"
        rows.append((key, chance.randrange(1, 3), [*system, *asked(text)]))
    return rows


def test_a_row_with_one_word_changed_repeats_the_older_one_and_names_it() -> None:
    found = pair(
        conversation("Tell me about Sète.", ANSWER), conversation("Tell me about Sète.", *ANSWERS)
    )
    assert list(found) == ["b-0"]
    assert found["b-0"]["code"] == "near_duplicate"
    assert found["b-0"]["detail"].startswith("repeats a-0, similarity 0.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("请描述泰姬陵的建筑风格和它的历史。", "描述泰姬陵的建筑风格和它的历史"),
        (
            "Ｃｏｕｌｄ you TELL me: what is a fjord, please",
            "could you tell me what is a fjord please?",
        ),
        (
            "wh\u200bat is the tall tow\u200der made o\u00adf now",
            "what is the tall tower made of now!",
        ),
    ],
    ids=["Chinese by its letters", "case, width and marks", "zero-width marks"],
)
def test_what_is_alike_to_the_ear_is_alike(one: str, other: str) -> None:
    fit = FindDuplicates(near=NEAR, ignore=())
    assert pair(conversation(one, "x"), conversation(other, "x"), fit).keys() == {"b-0"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (conversation("Name a red fruit.", ANSWER[:20]), conversation("Name a tall tree.", "Oak.")),
        (
            conversation("q", ANSWER, system="Be kind."),
            conversation("q", *ANSWERS, system="Be rude."),
        ),
        (
            conversation(heard(ANSWER, wav(pcm16(sine(300.0, 0.05)))), "x"),
            conversation(heard(ANSWERS[0], wav(pcm16(sine(400.0, 0.05)))), "x"),
        ),
        (conversation("!!!", "?"), conversation("???", "!")),
    ],
    ids=["other words", "other system prompts", "other audio", "no words"],
)
def test_what_differs_is_no_near_duplicate(one: Conversation, other: Conversation) -> None:
    assert pair(one, other, FindDuplicates(near=NEAR, ignore=())) == {}


def test_by_instruction_the_answer_does_not_count() -> None:
    one, other = conversation("Tell me about the town of Sète", "Yes."), conversation(
        "Tell me about the town of Sète now", ANSWER)  # fmt: skip
    assert pair(one, other) == {}
    assert pair(one, other, FindDuplicates(near=NEAR, scope="instruction")).keys() == {"b-0"}


def test_a_chain_names_the_row_that_is_alike_and_the_one_that_stays() -> None:
    words = [f"w{n}" for n in range(40)]
    texts = [
        " ".join([*(f"x{n}" for n in range(changed)), *words[changed:]]) for changed in (0, 5, 10)
    ]
    found = verdicts([(f"{n}-0", 1, asked(text)) for n, text in enumerate(texts)])
    assert found["1-0"]["detail"].startswith("repeats 0-0, similarity 0.")
    assert found["2-0"]["detail"].startswith("repeats 1-0, similarity 0.")
    assert found["2-0"]["detail"].endswith(", which repeats 0-0")


def test_equal_rows_stay_duplicates_and_are_no_near_ones() -> None:
    rows = [("a-0", 1, asked(ANSWER)), ("b-0", 1, asked(ANSWER)), ("c-0", 1, asked(ANSWERS[0]))]
    found = verdicts(rows)
    assert {key: item["code"] for key, item in found.items()} == {
        "b-0": "duplicate",
        "c-0": "near_duplicate",
    }
    assert found["b-0"]["detail"] == "repeats a-0"


def test_a_row_that_is_itself_an_equal_one_counts_as_older() -> None:
    """Else the removal of the first would turn the third, accepted, into a near duplicate."""
    kind, kinder = turn("system", "Be kind"), turn("system", "be kind.")
    rows = [
        ("a-0", 1, [kind, *asked(ANSWER)]),
        ("b-0", 1, [kinder, *asked(ANSWER)]),
        ("c-0", 1, [kinder, *asked(ANSWERS[0])]),
    ]
    found = verdicts(rows)
    assert found["b-0"]["code"] == "duplicate"
    assert found["c-0"]["detail"].startswith("repeats b-0, similarity 0.")
    assert found["c-0"]["detail"].endswith(", which repeats a-0")
    assert verdicts(rows[1:]).keys() == {"c-0"}


@given(st.integers(0, 2**32))
def test_order_cuts_and_merges_change_no_byte(seed: int) -> None:
    chance = random.Random(seed)
    rows = random_rows(chance, chance.randrange(1, 24))
    whole = FIT.finalize(FIT.merge([FIT.partial(batch(rows), 1)]))
    chance.shuffle(rows)
    cuts = sorted(chance.choices(range(len(rows) + 1), k=3))
    parts = [
        FIT.partial(batch(rows[start:stop]), 9)
        for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)
    ]
    chance.shuffle(parts)
    merged = FIT.merge([FIT.merge([]), FIT.merge(parts[:2]), *parts[2:]])
    assert FIT.finalize(merged) == whole


@given(st.integers(0, 2**32))
def test_younger_rows_and_removed_rows_make_no_accepted_row_a_duplicate(seed: int) -> None:
    chance = random.Random(seed)
    rows = random_rows(chance, 20)
    parent = [row for row in rows if row[1] == 1]
    before = verdicts(parent)
    after = verdicts(rows)
    assert {key: after.get(key) for key, *_ in parent} == {
        key: before.get(key) for key, *_ in parent
    }
    left = [row for row in rows if chance.random() < 0.7]
    accepted = {key for key, *_ in rows} - after.keys()
    assert not accepted & verdicts(left).keys()


@given(st.integers(0, 2**32))
def test_verdicts_are_those_of_comparing_every_pair_that_shares_a_band(seed: int) -> None:
    chance = np.random.default_rng(seed)
    count, num_perm, threshold = 30, 24, float(chance.choice([0.5, 0.7, 0.9]))
    base = chance.integers(0, 256, (4, num_perm), dtype=np.uint8)
    rows = base[chance.integers(0, 4, count)]
    noise = chance.random(rows.shape) < 0.25
    rows[noise] = chance.integers(0, 256, int(noise.sum()), dtype=np.uint8)
    groups = chance.integers(0, 2, count).astype(np.uint64)
    wide, wanted = band_rows(threshold, num_perm), least_matches(threshold, num_perm)
    expected = [-1] * count
    for one, other in combinations(range(count), 2):
        same = rows[one] == rows[other]
        bands = [same[at : at + wide].all() for at in range(0, num_perm - wide + 1, wide)]
        if any(bands) and same.sum() >= wanted and groups[one] == groups[other]:
            expected[other] = one if expected[other] < 0 else expected[other]
    found = find_like(rows, groups, threshold)
    assert found.older.tolist() == expected
    for row, older in enumerate(expected):
        assert older < 0 or found.matches[row] == (rows[row] == rows[older]).sum()


def test_roots_are_the_ends_of_chains() -> None:
    assert roots(np.array([-1, 0, 1, -1, 2, 3])).tolist() == [0, 0, 0, 3, 0, 3]


def test_many_rows_alike_are_compared_about_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    count = near_module._agreement
    monkeypatch.setattr(
        near_module, "_agreement", lambda *args: (compared.append(len(args[1])), count(*args))[1]
    )
    rows = np.zeros((3000, 64), np.uint8)
    assert find_like(rows, np.zeros(3000, np.uint64), 0.8).older[1:].max() == 0
    assert sum(compared) <= 2 * len(rows)
    assert len(compared) <= 64  # and the bucket is left when all its rows are found


def test_a_row_is_compared_with_so_many_of_a_bucket_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_OLDER >= 1000
    monkeypatch.setattr(near_module, "MAX_OLDER", 2)
    wide = band_rows(0.8, 64)
    chance = np.random.default_rng(1)
    rows = chance.integers(0, 256, (5, 64), dtype=np.uint8)
    rows[:, :wide] = 0  # one band in common, and nothing else
    rows[4] = rows[3]
    groups = np.zeros(5, np.uint64)
    assert find_like(rows, groups, 0.8).older.tolist() == [-1, -1, -1, -1, 3]
    rows[4, wide:] = rows[3, wide:]
    rows[4, wide::wide] += 1  # alike, but in the crowded band alone
    assert find_like(rows, groups, 0.8).older.tolist() == [-1] * 5


@pytest.mark.parametrize("shared", [0, 30, 60, 90, 114, 120])
def test_the_estimate_is_the_jaccard_similarity_within_five_standard_errors(shared: int) -> None:
    one = [f"w{n}" for n in range(120)]
    other = [*one[:shared], *(f"x{n}" for n in range(120 - shared))]
    made = signatures([one, other], 512, 1)
    truth = shared / (240 - shared)
    assert made[0] is not None
    assert made[1] is not None
    estimate = similarity(int((made[0] == made[1]).sum()), 512)
    assert abs(estimate - truth) <= 5 * (max(truth * (1 - truth), 0.01) / 512) ** 0.5


@given(st.lists(st.lists(st.text(max_size=12), max_size=3), max_size=6), st.integers(1, 4))
def test_a_signature_depends_on_its_own_text_alone(texts: list[list[str]], shingle: int) -> None:
    together = signatures(texts, 16, shingle)
    for text, found in zip(texts, together, strict=True):
        (alone,) = signatures([text], 16, shingle)
        assert (found is None) == (alone is None) == (not any(map(tokens, text)))
        assert found is None or (alone is not None and np.array_equal(found, alone))


def test_large_and_odd_texts_are_signed_too() -> None:
    odd = ["a" * 5000, "3" * 3000, "word " * 200_000, "\ud800 lone", "שלום עולם", "👋"]
    assert all(item is not None for item in signatures([[text] for text in odd], 32, 3))


def test_signatures_are_those_of_every_machine() -> None:
    """The first bytes of one, from any run: python -c 'from transforms.minhash import *; ...'."""
    (made,) = signatures([["The quick brown fox jumps.", "敏捷的狐狸"]], 16, 2)
    assert made is not None
    assert made.tobytes().hex() == "6e5086641c1d5c460145736a7913545e"


def test_without_near_the_artifact_is_the_exact_one() -> None:
    """Written out the slow way, as the first version did it."""
    chance = random.Random(5)
    rows = [(f"{n:02d}-0", chance.randrange(1, 3), asked(chance.choice(WORDS))) for n in range(40)]
    fit = FindDuplicates()
    table = pa.Table.from_batches([batch(rows)])
    entries = fit.partial(batch(rows), 1)
    order = pc.sort_indices(
        entries, sort_keys=[("key", "ascending"), ("born", "ascending"), ("id", "ascending")]
    )
    repeated: list[Any] = []
    first = {"key": "", "id": ""}
    for entry in entries.take(order).to_pylist():
        if entry["key"] == first["key"]:
            repeated.append({"id": entry["id"], "repeats": first["id"]})
        else:
            first = entry
    schema = pa.schema([("id", pa.string()), ("repeats", pa.string())])
    wanted = pa.Table.from_pylist(repeated, schema=schema).sort_by("id")
    artifact = fit.finalize(fit.merge([entries]))
    assert pa.ipc.open_stream(artifact).read_all().equals(wanted)
    assert table.num_rows - len(repeated) == len({turns[0]["text"] for *_, turns in rows})
    assert "near" not in fit.identity()


def test_no_rows_have_no_duplicates() -> None:
    for fit in (FIT, FindDuplicates()):
        assert judged([], fit.finalize(fit.merge([]))) == {}
