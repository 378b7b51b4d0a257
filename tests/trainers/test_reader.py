"""The reader: what comes out, and where it goes on after a stop."""

import json
import random
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.made_corpus import UNIT_SET, make_corpus
from schemas.errors import SettingsError, SourceError
from tests.trainers.conftest import COUNTS
from tests.trainers.streams import BATCH, Place, merged, places, reader, take
from trainers.corpus import open_snapshot
from trainers.fetch import ReadSettings
from trainers.reader import Source

STEPS = sum(COUNTS) // BATCH


def test_canonical_order_is_that_of_the_shards(corpus: Path, tmp_path: Path) -> None:
    keys = make_corpus(tmp_path, COUNTS)
    samples = list(open_snapshot(str(corpus)).samples())
    assert [sample.key for sample in samples] == keys
    assert [sample.position for sample in samples] == list(range(len(keys)))


def test_a_sample_is_what_its_shard_and_its_index_say(corpus: Path) -> None:
    for number, sample in enumerate(open_snapshot(str(corpus)).samples()):
        user, assistant = sample.turns
        assert list(sample.members) == [
            "json",
            "00.user.flac",
            "01.assistant.flac",
            f"01.assistant.{UNIT_SET}.npy",
            f"01.assistant.{UNIT_SET}.durations.npy",
        ]
        assert user.flac() == np.random.default_rng(2 * number).bytes(200)
        assert sample.user_s == user.duration_s
        assert sample.duration_s == user.duration_s + assistant.duration_s
        codes = assistant.codes()
        assert codes.shape == (1, sample.num_units)
        assert assistant.durations(UNIT_SET).sum() == 2 * sample.num_units
        assert sample.num_frames == assistant.units[UNIT_SET]["frames"]
        assert codes[0, 0] == number % 100
        with pytest.raises(KeyError, match=r"asked for unit set 'other', it has \['made100'\]"):
            assistant.codes("other")


def test_an_evaluation_reads_every_sample_once_and_marks_padding(corpus: Path) -> None:
    keys = [sample.key for sample in open_snapshot(str(corpus)).samples()]
    for world in (1, 2, 8):
        ranks = [
            list(reader(corpus, shuffle=False, remainder="pad", rank=rank, world=world))
            for rank in range(world)
        ]
        assert {len(batch) for batches in ranks for batch in batches} == {BATCH // world}
        whole = merged(ranks)
        flat = [sample for batch in whole for sample in batch]
        assert [sample.key for sample in flat if not sample.padding] == keys
        assert [sample.padding for sample in flat] == [False] * len(keys) + [True] * 4


@given(stops=st.lists(st.integers(1, 9), min_size=1, max_size=5), data=st.data())
@settings(max_examples=12)
def test_kills_at_any_step_with_other_ranks_and_threads_change_nothing(
    corpus: Path, stops: list[int], data: st.DataObject
) -> None:
    straight = take(reader(corpus), sum(stops))
    found: list[list[Place]] = []
    state = None
    for steps in stops:
        world = data.draw(st.sampled_from([1, 2, 4, 8]))
        threads = data.draw(st.sampled_from([0, 3]))
        parts, states = [], []
        for rank in range(world):
            reading = ReadSettings(threads=threads, prefetch_bytes=9000)
            made = reader(corpus, rank=rank, world=world, reading=reading)
            if state is not None:
                made.load_state_dict(json.loads(json.dumps(state)))
            parts.append(take(made, steps))
            states.append(made.state_dict())
        assert all(item == states[0] for item in states)
        state = states[0]
        found += merged(parts)
    assert found == straight


def test_kills_of_a_mixture_change_nothing(corpus: Path, other: Path) -> None:
    sources = [
        Source(uri=str(corpus), weight=3, name="a"),
        Source(uri=str(other), weight=1, name="b"),
    ]
    straight = take(reader(sources), 60)
    passes = {epoch for batch in straight for name, epoch, *_ in batch if name == "b"}
    assert passes >= set(range(5))
    draw = random.Random(3)
    found: list[list[Place]] = []
    state = None
    while len(found) < 60:
        world, steps = draw.choice([1, 2, 4]), min(draw.randint(1, 12), 60 - len(found))
        parts = []
        for rank in range(world):
            made = reader(sources, rank=rank, world=world)
            if state is not None:
                made.load_state_dict(state)
            parts.append(take(made, steps))
        state = json.loads(json.dumps(made.state_dict()))
        found += merged(parts)
    assert found == straight


def test_what_is_read_ahead_does_not_count(corpus: Path) -> None:
    made = reader(corpus, reading=ReadSettings(threads=4))
    take(made, 3)
    assert made.state_dict()["place"] == {"epoch": 0, "step": 3}
    assert made.total_steps == 3


def test_a_state_that_is_loaded_after_iter_counts(corpus: Path) -> None:
    """prime-rl#3332: an iterator that was made before the state was loaded began from the start."""
    straight = take(reader(corpus), 9)
    first = reader(corpus)
    take(first, 6)
    made = reader(corpus)
    iterator = iter(made)
    made.load_state_dict(first.state_dict())
    assert places(next(iterator)) == straight[6]
    made.load_state_dict(first.state_dict())
    assert places(next(iterator)) == straight[6]
    assert places(next(iterator)) == straight[7]


def test_epochs_follow_each_other_and_none_is_dropped(corpus: Path) -> None:
    """meta-pytorch/data#1437: a state taken at the end of an epoch lost the next one."""
    straight = take(reader(corpus), 3 * STEPS)
    made = reader(corpus)
    epochs = [[places(batch) for batch in made] for _ in range(3)]
    assert list(chain.from_iterable(epochs)) == straight
    assert {epoch for _, epoch, *_ in epochs[2][0]} == {2}

    ended = reader(corpus)
    list(ended)
    assert (ended.epoch, ended.state_dict()["place"]) == (1, {"epoch": 1, "step": 0})
    resumed = reader(corpus)
    resumed.load_state_dict(ended.state_dict())
    assert [places(batch) for batch in resumed] == epochs[1]


def test_a_state_needs_no_store_and_no_order(corpus: Path, tmp_path: Path) -> None:
    """meta-pytorch/data#1317: a state per step cost seconds. Here it is a few numbers."""
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    made = reader(copy)
    take(made, 2)
    shutil.rmtree(copy)
    assert len(json.dumps(made.state_dict())) < 1000


def test_two_iterators_of_one_reader_are_refused(corpus: Path) -> None:
    made = reader(corpus)
    first, second = iter(made), iter(made)
    next(first)
    next(second)
    with pytest.raises(RuntimeError, match="a newer iterator"):
        next(first)


def test_a_grown_corpus_with_the_same_shards_takes_the_state(corpus: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path, COUNTS, version=1)
    make_corpus(tmp_path, COUNTS, version=2)
    first = reader(tmp_path)
    take(first, 2)
    made = reader(Source(uri=str(tmp_path), version=1))
    made.load_state_dict(first.state_dict())
    assert made.total_steps == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 6}, "seed 5 then, 6 now.*give the same settings"),
        ({"batch_size": 32}, "batch_size 16 then, 32 now"),
        ({"lanes": 4}, "lanes 8 then, 4 now"),
        ({"remainder": "pad"}, "remainder drop then, pad now"),
    ],
)
def test_a_state_of_other_settings_is_refused_with_the_cure(
    corpus: Path, changes: dict[str, Any], words: str
) -> None:
    state = reader(corpus).state_dict()
    with pytest.raises(SettingsError, match=words):
        reader(corpus, **changes).load_state_dict(state)


def test_a_state_of_another_corpus_is_refused_with_the_cure(corpus: Path, other: Path) -> None:
    state = reader(corpus).state_dict()
    with pytest.raises(SettingsError, match=r"open version=1 of that corpus"):
        reader(other).load_state_dict(state)
    with pytest.raises(SettingsError, match="1 corpora then, 2 now"):
        reader([Source(uri=str(corpus)), Source(uri=str(other))]).load_state_dict(state)
    mixed = [Source(uri=str(corpus)), Source(uri=str(other), weight=2)]
    state = reader(mixed).state_dict()
    mixed[1] = Source(uri=str(other), weight=3)
    with pytest.raises(SettingsError, match="had weight 2, now 3"):
        reader(mixed).load_state_dict(state)
    with pytest.raises(SettingsError, match="wanted what state_dict"):
        reader(corpus).load_state_dict({"step": 3})
    with pytest.raises(SettingsError, match="version 2, this release reads 1"):
        reader(corpus).load_state_dict({**reader(corpus).state_dict(), "version": 2})


def test_a_snapshot_that_is_not_there_is_refused_with_the_cure(
    corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"no snapshot there.*voxmill build"):
        reader(tmp_path)
    with pytest.raises(SourceError, match=r"asked for version 7, it has \[1\]"):
        reader(Source(uri=str(corpus), version=7))
    with pytest.raises(SourceError, match=r"no split 'eval'; it has \['train'\]"):
        reader(Source(uri=str(corpus), split="eval"))
