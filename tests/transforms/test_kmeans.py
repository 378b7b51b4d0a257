"""K-means on a sample: bottom-k by hash, whoever offers it in whatever order."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from tests.builders import utterances
from tests.sound import pcm16, sine
from transforms.audio import encode_flac
from transforms.backends.mfcc import mfcc
from transforms.kmeans import FitKmeans, frame_order, load_centroids

FIT = FitKmeans(seed=4, num_clusters=3, max_frames=40, roles=("assistant",))


def sounds(count: int) -> list[dict[str, Any]]:
    """Utterances of 9 frames each, alternately of the user and of the assistant."""
    return [
        {
            "id": f"{number // 2:024x}-0",
            "turn": number % 2,
            "role": ("user", "assistant")[number % 2],
            "split": "eval" if number % 10 == 5 else "train",
            "flac": encode_flac(pcm16(sine(100.0 + 67 * number, 0.2)), 16000),
        }
        for number in range(count)
    ]


ROWS = sounds(40)
BATCH = utterances(FIT.reads, *ROWS)


def expected_sample(fit: FitKmeans) -> list[tuple[int, list[float]]]:
    """The frames of lowest hash among all that count, by hashing every one."""
    found = []
    for number, row in enumerate(ROWS):
        if row["role"] in fit.roles and row["split"] == "train":
            frames = mfcc(pcm16(sine(100.0 + 67 * number, 0.2)))
            label = f"{fit.seed}/{row['id']}/{row['turn']}"
            found += zip(splitmix64(label, len(frames)), frames.tolist(), strict=True)
    return sorted(found)[: fit.max_frames]


def splitmix64(label: str, count: int) -> list[int]:
    """https://prng.di.unimi.it/splitmix64.c, from the first 8 bytes of the label's sha256."""
    x = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")
    found = []
    for _ in range(count):
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        z = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        found.append(z ^ (z >> 31))
    return found


def shown(table: pa.Table) -> list[tuple[int, list[float]]]:
    return list(zip(table["order"].to_pylist(), table["frame"].to_pylist(), strict=True))


@given(st.text(max_size=8), st.integers(0, 20))
def test_the_hash_of_a_frame_is_splitmix64s(label: str, count: int) -> None:
    assert frame_order(label, count).tolist() == splitmix64(label, count)


@pytest.mark.parametrize("cap", [1, 40, 10_000])
def test_the_sample_is_the_frames_of_lowest_hash(cap: int) -> None:
    fit = replace(FIT, max_frames=cap)
    parts = [fit.partial(BATCH.slice(start, 7), 1) for start in range(0, 40, 7)]
    merged = fit.merge([fit.merge(parts[3:]), *parts[:3]])
    assert shown(merged) == expected_sample(fit)
    assert merged.num_rows == min(cap, 16 * 9)


def test_only_train_utterances_of_the_roles_count() -> None:
    asked = replace(FIT, roles=("user",), max_frames=10_000)
    assert shown(asked.merge([asked.partial(BATCH, 1)])) == expected_sample(asked)
    both = replace(FIT, roles=("user", "assistant"), max_frames=10_000)
    assert both.partial(BATCH, 1).num_rows == 36 * 9
    assert replace(FIT, roles=()).partial(BATCH, 1).num_rows == 0


@pytest.mark.parametrize(("partitions", "most"), [(1, 144), (2, 80), (3, 54), (160, 1), (999, 1)])
def test_a_partition_offers_at_most_four_times_its_share(partitions: int, most: int) -> None:
    partial = FIT.partial(BATCH, partitions)
    assert partial.num_rows == most
    assert shown(partial) == expected_sample(replace(FIT, max_frames=most))


def test_the_centroids_are_of_the_sample() -> None:
    centroids = load_centroids(FIT.finalize(FIT.merge([FIT.partial(BATCH, 1)])))
    frames = np.array([frame for _, frame in expected_sample(FIT)])
    assert centroids.shape == (3, 39)
    assert centroids.dtype == np.float32
    distances = ((frames[:, None] - centroids[None]) ** 2).sum(axis=2)
    assert set(distances.argmin(axis=1)) == {0, 1, 2}
    assert distances.min(axis=1).sum() < 0.5 * ((frames - frames.mean(axis=0)) ** 2).sum()


def test_another_seed_takes_another_sample() -> None:
    other = replace(FIT, seed=5)
    assert shown(other.merge([other.partial(BATCH, 1)])) != expected_sample(FIT)


def test_too_few_frames_is_an_error_with_its_cure() -> None:
    fit = replace(FIT, num_clusters=41)
    with pytest.raises(SettingsError, match=r"41 clusters .* on 40 frames; .*units\.clusters"):
        fit.finalize(fit.merge([fit.partial(BATCH, 1)]))


def test_a_corpus_without_speech_has_no_centroids() -> None:
    assert load_centroids(FIT.finalize(FIT.merge([]))).shape == (0, 39)
