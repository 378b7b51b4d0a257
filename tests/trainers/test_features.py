"""Codec windows, unit targets and collation: what a trainer is handed, and what is refused."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.errors import DamageError, SettingsError
from schemas.shard import durations_suffix, npy, units_suffix
from schemas.unitset import UnitSet
from tests.trainers.test_mel import speech
from trainers.collate import Pad, collate, pack, to_torch
from trainers.features.codec import CodecWindow, generator
from trainers.features.units import IGNORE_INDEX, UnitTargets, check_padding, read_units
from trainers.sample import Turn

Float = npt.NDArray[np.float32]
WINDOW = CodecWindow()


def tone(seconds: float, rate_hz: int = 16000) -> Float:
    """A tone that rises in loudness, so that each window of it is different."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    rising: Float = (np.sin(2 * np.pi * 220 * times) * (0.05 + 0.1 * times)).astype(np.float32)
    return rising


def unit_set(collapse: str = "run_length", size: int = 100) -> UnitSet:
    return UnitSet(
        name="toy",
        sample_rate_hz=16000,
        window_samples=400,
        hop_samples=320,
        num_codebooks=1,
        codebook_size=size,
        collapse=collapse,  # type: ignore[arg-type]
        roles=("assistant",),
        model="toy",
        model_sha256="",
        centroids_sha256="",
    )


def members(codes: list[int], durations: list[int] | None = None) -> dict[str, bytes]:
    found = {
        "json": b"{}",
        units_suffix(1, "assistant", "toy"): npy(np.array([codes], np.int16)),
    }
    if durations is not None:
        found[durations_suffix(1, "assistant", "toy")] = npy(np.array(durations, np.int32))
    return found


def read(found: dict[str, bytes], contract: UnitSet) -> UnitTargets:
    turn = Turn(found, 1, "assistant", "", "", "", "", 0.0, {})
    return read_units(turn, contract, "KEY")


def test_a_window_depends_on_seed_epoch_and_key_and_on_nothing_else() -> None:
    def cut(seed: int, epoch: int, key: str) -> bytes:
        return WINDOW.train(tone(5), 16000, seed=seed, epoch=epoch, key=key).tobytes()

    first = cut(1, 0, "a")
    np.random.default_rng().random()
    assert first == cut(1, 0, "a")
    assert len({first, cut(2, 0, "a"), cut(1, 1, "a"), cut(1, 0, "b")}) == 4


def test_windows_are_3_s_at_24_khz_with_peaks_from_minus_6_to_minus_1_db() -> None:
    peaks = []
    for number in range(60):
        window = WINDOW.train(tone(3.5), 16000, seed=0, epoch=0, key=str(number))
        assert window.shape == (72000,)
        assert window.dtype == np.float32
        peaks.append(20 * np.log10(np.abs(window).max()))
    assert -6.001 <= min(peaks) < -5.5
    assert -1.5 < max(peaks) <= -0.999


def test_a_short_clip_is_tiled_and_an_evaluation_window_is_its_start() -> None:
    clip = tone(0.5, 24000)
    window = WINDOW.evaluate(clip, 24000)
    assert window.shape == (72000,)
    np.testing.assert_array_equal(window, np.tile(window[:12000], 6))
    np.testing.assert_allclose(np.abs(window).max(), 10 ** (-3 / 20), rtol=1e-6)


def test_human_speech_keeps_its_sound_at_24_khz() -> None:
    samples = speech("libri_2412-153948-0000.flac")
    window = WINDOW.evaluate(samples, 16000)
    spectrum = np.abs(np.fft.rfft(window)) ** 2
    above_8_khz = spectrum[len(spectrum) * 8 // 12 + 200 :].sum()
    assert above_8_khz < 1e-4 * spectrum.sum()  # no images of the 16 kHz signal


def test_silence_stays_silence_and_an_empty_clip_is_refused() -> None:
    assert not WINDOW.train(np.zeros(100, np.float32), 24000, seed=0, epoch=0, key="").any()
    with pytest.raises(SettingsError, match="empty clip"):
        WINDOW.evaluate(np.zeros(0, np.float32), 24000)


def test_gains_that_would_clip_are_refused() -> None:
    with pytest.raises(SettingsError, match="clip"):
        CodecWindow(loudest_db=1.0)
    with pytest.raises(SettingsError, match="at least one sample"):
        CodecWindow(window_s=0)


def test_generators_of_two_samples_are_unlike() -> None:
    draws = [generator(0, 0, key).random() for key in ("a", "b", "c")]
    assert len(set(draws)) == 3


@given(raw=st.lists(st.integers(0, 99), min_size=1, max_size=40))
def test_expanding_collapsed_units_gives_back_the_raw_ones(raw: list[int]) -> None:
    starts = [i for i, unit in enumerate(raw) if i == 0 or raw[i - 1] != unit]
    durations = np.diff([*starts, len(raw)]).tolist()
    targets = read(members([raw[i] for i in starts], durations), unit_set())
    assert targets.expand().tolist() == [raw]
    assert targets.durations.sum() == len(raw)


def test_raw_units_have_durations_of_one() -> None:
    targets = read(members([4, 4, 7]), unit_set("none"))
    assert targets.durations.tolist() == [1, 1, 1]
    assert targets.expand().tolist() == [[4, 4, 7]]


@pytest.mark.parametrize("unit", [1000, 1023, -1])
def test_a_unit_out_of_range_is_an_error(unit: int) -> None:
    with pytest.raises(DamageError, match=r"KEY.01.assistant.toy.npy: unit ids span.*0\.\.999"):
        read(members([5, unit], [1, 1]), unit_set(size=1000))


def test_units_that_break_their_contract_are_errors_that_name_the_member() -> None:
    with pytest.raises(SettingsError, match=r"no member 01.assistant.toy.npy.*for assistant"):
        read({"json": b"{}"}, unit_set())
    with pytest.raises(DamageError, match=r"no 01.assistant.toy.durations.npy"):
        read(members([5]), unit_set())
    with pytest.raises(DamageError, match="run lengths"):
        read(members([5, 6], [1]), unit_set())
    with pytest.raises(DamageError, match="at least 1 frame"):
        read(members([5, 6], [1, 0]), unit_set())
    floats = {units_suffix(1, "assistant", "toy"): npy(np.zeros((1, 3), np.float32))}
    with pytest.raises(DamageError, match="wanted integers"):
        read(floats, unit_set())


@pytest.mark.parametrize("value", [0, 1, 999])
def test_a_unit_is_never_padding(value: int) -> None:
    with pytest.raises(SettingsError, match="pad with -100"):
        check_padding(value, 1000)
    assert check_padding(IGNORE_INDEX, 1000) == IGNORE_INDEX


@given(
    arrays=st.lists(
        hnp.arrays(np.int64, st.tuples(st.just(2), st.integers(0, 6))), min_size=1, max_size=5
    )
)
def test_what_the_mask_keeps_of_a_padded_batch_is_what_came_in(
    arrays: list[npt.NDArray[np.int64]],
) -> None:
    batch = collate([{"x": array} for array in arrays], {"x": Pad(value=-100, multiple=4)})
    assert batch["x"].shape[2] % 4 == 0
    for array, row, mask in zip(arrays, batch["x"], batch["x_mask"], strict=True):
        np.testing.assert_array_equal(row[:, mask], array)
        assert (row[:, ~mask] == -100).all()
    assert batch["x_lengths"].tolist() == [array.shape[1] for array in arrays]


def test_batches_of_unlike_examples_are_refused() -> None:
    a, b = np.zeros(3, np.float32), np.zeros((2, 3), np.float32)
    pads = {"x": Pad(value=0)}
    with pytest.raises(SettingsError, match="no examples"):
        collate([], {})
    with pytest.raises(SettingsError, match="the same fields"):
        collate([{"x": a}, {"y": a}], pads)
    with pytest.raises(SettingsError, match="last axis"):
        collate([{"x": a}, {"x": b}], pads)
    with pytest.raises(SettingsError, match="name a padding"):
        collate([{"x": a}, {"x": a[:2]}], {})
    with pytest.raises(SettingsError, match=r"padding for \['z'\]"):
        collate([{"x": a}], {"z": Pad(value=0)})
    with pytest.raises(SettingsError, match=r"cannot hold the padding value 0\.5"):
        collate([{"x": np.zeros(3, np.int64)}], {"x": Pad(value=0.5)})


def test_a_pack_lays_sequences_end_to_end_and_says_where_each_is() -> None:
    pads = {"ids": Pad(value=0), "labels": Pad(value=-100)}
    rows = [np.array([5, 6, 7]), np.array([8, 9])]
    packed = pack([{"ids": row, "labels": row} for row in rows], 7, pads)
    assert packed["ids"].tolist() == [5, 6, 7, 8, 9, 0, 0]
    assert packed["labels"].tolist() == [-100, 6, 7, -100, 9, -100, -100]
    assert packed["segment_ids"].tolist() == [1, 1, 1, 2, 2, 0, 0]
    assert packed["position_ids"].tolist() == [0, 1, 2, 0, 1, 0, 0]
    assert packed["cu_seqlens"].tolist() == [0, 3, 5]


def test_a_pack_holds_its_limit_and_one_long_sequence_alone() -> None:
    pads = {"ids": Pad(value=0)}
    assert pack([{"ids": np.arange(9)}], 7, pads)["ids"].tolist() == list(range(9))
    with pytest.raises(SettingsError, match="2 sequences of 8 tokens in a pack of 7"):
        pack([{"ids": np.arange(4)}] * 2, 7, pads)
    with pytest.raises(SettingsError, match="one length"):
        pack([{"ids": np.arange(4), "labels": np.arange(3)}], 7, pads)


def test_a_packed_loss_equals_the_unpacked_one() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    random = np.random.default_rng(0)
    rows = [random.integers(0, 11, length) for length in (5, 3, 6)]
    embedding = torch.tensor(random.standard_normal((11, 11)))

    def loss_sum(ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> float:
        # A bigram model: each place predicts the next one from itself alone.
        logits = embedding[torch.from_numpy(ids)][:-1]
        targets = torch.from_numpy(labels)[1:]
        total = torch.nn.functional.cross_entropy(
            logits, targets, ignore_index=-100, reduction="sum"
        )
        return float(total)

    examples = [{"ids": row, "labels": row} for row in rows]
    packed = pack(examples, 20, {"ids": Pad(value=0), "labels": Pad(value=-100)})
    apart = sum(loss_sum(row, row) for row in rows)
    np.testing.assert_allclose(loss_sum(packed["ids"], packed["labels"]), apart, rtol=1e-12)


def test_tensors_share_the_memory_of_the_batch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    batch = collate([{"x": np.arange(3), "key": np.array("k")}], {"x": Pad(value=-100)})
    tensors = to_torch(batch)
    assert set(tensors) == {"x", "x_lengths", "x_mask"}
    assert tensors["x"].dtype == torch.int64
    tensors["x"][0, 0] = 9
    assert batch["x"][0, 0] == 9
