"""Packs and buckets of a corpus through the reader: whole samples, whatever runs and stops it."""

import json
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.made_corpus import make_corpus
from schemas.errors import DamageError, SettingsError
from tests.trainers.conftest import COUNTS
from tests.trainers.streams import BATCH, reader
from trainers.batching.buckets import Buckets
from trainers.batching.costs import ChatTokens, CostTable, seconds
from trainers.batching.counts import vita_audio_tokens
from trainers.batching.grouping import Bucketing, Grouping, Packing, groups_of
from trainers.corpus import open_snapshot
from trainers.fetch import ReadSettings
from trainers.reader import Reader, Source
from trainers.sample import Sample
from trainers.turns import IndexedTurn

Packs = list[list[str]]
LIMIT = 180


def audio_tokens(turns: Sequence[IndexedTurn]) -> float:
    """VITA's tokens of all turns: up to 5 + 10 s, which are 200, so some exceed the limit."""
    return sum(vita_audio_tokens(turn.duration_s) for turn in turns)


PACKS = Packing(limit=LIMIT, cost=audio_tokens, per_step=4, window_samples=48)
BATCHES = Bucketing(
    buckets=Buckets(edges_s=(1.5, 3.0), batch_size=5, padded_s=14), per_step=4, window_samples=48
)
GROUPINGS = pytest.mark.parametrize("grouping", [PACKS, BATCHES], ids=["packs", "buckets"])


def keys(batch: list[Sample]) -> Packs:
    """The groups of a batch, as keys."""
    return [[sample.key for sample in group] for group in groups_of(batch)]


def take(made: Reader, steps: int) -> list[Packs]:
    found: list[Packs] = []
    for batch in made.batches():
        found.append(keys(batch))
        if len(found) == steps:
            break
    return found


@GROUPINGS
def test_an_evaluation_in_groups_reads_every_sample_once(corpus: Path, grouping: Grouping) -> None:
    made = reader(corpus, shuffle=False, remainder="pad", grouping=grouping)
    samples = list(chain.from_iterable(made))
    expected = sorted(sample.key for sample in open_snapshot(str(corpus)).samples())
    assert sorted(sample.key for sample in samples if not sample.padding) == expected


def test_packs_hold_their_limit_by_the_audio_that_is_in_them(corpus: Path) -> None:
    steps = list(reader(corpus, grouping=PACKS))
    oversize = 0
    for pack in chain.from_iterable(groups_of(batch) for batch in steps):
        cost = sum(vita_audio_tokens(turn.duration_s) for sample in pack for turn in sample.turns)
        assert cost <= LIMIT or len(pack) == 1
        oversize += cost > LIMIT
    assert oversize  # the case occurs in this corpus
    assert all(len(groups_of(batch)) == PACKS.per_step for batch in steps)


def test_buckets_hold_padded_seconds_by_the_audio_that_is_in_them(corpus: Path) -> None:
    for batch in reader(corpus, grouping=BATCHES):
        for group in groups_of(batch):
            longest_s = max(sample.user_s for sample in group)
            assert len(group) <= 5
            assert len(group) * longest_s <= 14 or len(group) == 1


@GROUPINGS
def test_kills_with_other_ranks_and_threads_change_no_group(
    corpus: Path, grouping: Grouping
) -> None:
    plan = [(1, 0, 3), (2, 3, 5), (4, 0, 4), (1, 3, 1), (2, 0, 9)]
    straight = take(reader(corpus, grouping=grouping), sum(steps for *_, steps in plan))
    found: list[Packs] = []
    state = None
    for world, threads, steps in plan:
        parts, states = [], []
        for rank in range(world):
            reading = ReadSettings(threads=threads)
            made = reader(corpus, grouping=grouping, rank=rank, world=world, reading=reading)
            if state is not None:
                made.load_state_dict(state)
            parts.append(take(made, steps))
            states.append(json.loads(json.dumps(made.state_dict())))
        assert all(item == states[0] for item in states)
        state = states[0]
        found += [list(chain.from_iterable(step)) for step in zip(*parts, strict=True)]
        seen = sum(len(pack) for step in found for pack in step)
        assert state["place"]["samples"] == seen
        assert state["place"]["step"] == len(found)
    assert found == straight


def test_an_epoch_of_groups_ends_and_the_next_has_others(corpus: Path) -> None:
    made = reader(corpus, grouping=PACKS)
    first, second = [list(map(keys, made)) for _ in range(2)]
    assert first != second
    assert made.epoch == 2
    made.set_epoch(1)
    assert list(map(keys, made)) == second
    assert sum(COUNTS) - sum(len(pack) for step in first for pack in step) < BATCH + 4 * 6


def test_a_mixture_is_packed_and_resumes(corpus: Path, other: Path) -> None:
    sources = [Source(uri=str(corpus), weight=2), Source(uri=str(other))]
    straight = take(reader(sources, grouping=PACKS), 20)
    made = reader(sources, grouping=PACKS)
    assert take(made, 7) == straight[:7]
    resumed = reader(sources, grouping=PACKS)
    resumed.load_state_dict(made.state_dict())
    assert take(resumed, 13) == straight[7:]


def test_a_state_of_other_groups_is_refused(corpus: Path) -> None:
    state = reader(corpus, grouping=PACKS).state_dict()
    other = Packing(limit=LIMIT + 1, cost=audio_tokens, per_step=4, window_samples=48)
    for grouping in (other, BATCHES, None):
        with pytest.raises(SettingsError, match="groups were cut by"):
            reader(corpus, grouping=grouping).load_state_dict(state)
    with pytest.raises(SettingsError, match="groups were cut by None"):
        reader(corpus, grouping=PACKS).load_state_dict(reader(corpus).state_dict())


def test_ranks_that_cannot_share_a_step_hear_of_it_at_once(corpus: Path) -> None:
    with pytest.raises(SettingsError, match="4 groups in a step cannot be shared by 8 ranks"):
        reader(corpus, grouping=PACKS, world=8)


def test_a_skipped_sample_keeps_its_place_in_its_pack(tmp_path: Path) -> None:
    make_corpus(tmp_path, COUNTS)
    straight = list(map(keys, reader(tmp_path, grouping=PACKS, remainder="pad")))
    shard = sorted((tmp_path / "shards").glob("*.tar"))[3]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    reading = ReadSettings(on_damage="skip")
    made = reader(tmp_path, grouping=PACKS, remainder="pad", reading=reading)
    found = list(map(keys, made))
    assert len({(skip.shard, skip.row) for skip in made.skipped}) == 1
    missing = set(chain(*chain(*straight))) - set(chain(*chain(*found)))
    assert len(missing) == 1
    without = [[[key for key in pack if key not in missing] for pack in step] for step in straight]
    assert found == [[pack for pack in step if pack] for step in without]


def test_costs_of_an_index_that_changed_are_not_believed(tmp_path: Path) -> None:
    make_corpus(tmp_path, (8, 8))
    index = next(iter((tmp_path / "index").glob("*.parquet")))
    index.write_bytes(index.read_bytes() + b"x")
    with pytest.raises(DamageError, match="sha256"):
        take(reader(tmp_path, grouping=PACKS), 1)


def test_a_cost_that_is_none_names_its_sample(corpus: Path) -> None:
    def broken(turns: Sequence[IndexedTurn]) -> float:
        return float("nan")

    grouping = Packing(limit=10, cost=broken, per_step=4)
    with pytest.raises(SettingsError, match=r"sample 0 of train-.*\.tar costs nan"):
        take(reader(corpus, grouping=grouping), 1)


def test_costs_are_those_of_the_index_in_canonical_order(corpus: Path) -> None:
    opened = open_snapshot(str(corpus))
    expected = [sample.duration_s for sample in opened.samples()]
    ids = np.random.default_rng(0).permutation(len(expected))
    found = CostTable([opened], seconds).of(np.zeros(len(ids), np.int64), ids)
    assert found.tolist() == [expected[number] for number in ids]


def test_chat_tokens_count_what_the_tokenizer_gives(tmp_path: Path, corpus: Path) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    from trainers.byte_bpe import train_byte_bpe
    from trainers.text import load_tokenizer, save_tokenizer

    save_tokenizer(train_byte_bpe(["Something, then."], 270), tmp_path / "tokenizer.json")
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    cost = ChatTokens(tokenizer)
    assert tokenizer.sha256 in cost.identity
    sample = next(iter(open_snapshot(str(corpus)).samples()))
    user, assistant = sample.turns
    indexed = [
        IndexedTurn(turn.role, turn.duration_s, 0, 0, turn.text, turn.spoken_text)
        for turn in (user, assistant)
    ]
    words = tokenizer.encode(assistant.spoken_text)
    assert cost(indexed) == 10 + vita_audio_tokens(user.duration_s) + len(words)


def test_the_code_of_the_features_page_yields_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    from trainers.tokenizer import main

    page = Path("docs/features.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    make_corpus(tmp_path / "corpus", (200, 150))
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", "--vocab", "280", "--out", "tokenizer.json"]) == 0
    code = code.replace("batch_size=256", "batch_size=64").replace("limit=6000", "limit=600")
    code = code.replace("        ...\n", "        packs.append(samples)\n")
    names: dict[str, Any] = {"rank": 1, "world": 2, "packs": [], "checkpoint": {}}
    exec(compile(code, "docs/features.md", "exec"), names)
    assert len(names["packs"]) == 4 * names["checkpoint"]["reader"]["place"]["step"] > 4
    assert all(sample.duration_s for pack in names["packs"] for sample in pack)


def packed(samples: list[Sample]) -> Packs:
    return keys(samples)


@pytest.mark.slow
@GROUPINGS
def test_workers_of_a_stateful_loader_count_samples_and_not_packs(
    corpus: Path, grouping: Grouping
) -> None:
    """llm-foundry#1277: packs and workers made the counts wrong, and a resume lost samples."""
    pytest.importorskip("torch", reason="pip install -c constraints.txt '.[train]'")
    stateful = pytest.importorskip("torchdata.stateful_dataloader")
    from trainers.stream import StreamDataset, reader_state

    def dataset() -> Any:
        return StreamDataset(
            str(corpus), batch_size=BATCH, lanes=8, seed=5, transform=packed, grouping=grouping
        )

    straight = take(reader(corpus, grouping=grouping), 23)
    found: list[Packs] = []
    state = None
    for workers, steps in ((0, 4), (2, 9), (1, 5), (2, 5)):
        made = dataset()
        if state is not None:
            made.load_state_dict(state)
        loader = stateful.StatefulDataLoader(
            made, batch_size=None, num_workers=workers, collate_fn=packed_already
        )
        batches = iter(loader)
        found += [next(batches) for _ in range(steps)]
        state = reader_state(json.loads(json.dumps(loader.state_dict())))
        assert state["place"]["step"] == len(found)
        assert state["place"]["samples"] == sum(len(pack) for step in found for pack in step)
        if workers:
            batches._shutdown_workers()
    assert found == straight


def packed_already(batch: Packs) -> Packs:
    return batch
