"""The models of units: what their makers' code gives, whatever else is in the batch."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import (
    AutoModel,
    EncodecModel,
    MimiModel,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from schemas.errors import BackendError, SettingsError
from tests.unit_models import (
    hubert_spec,
    models,
    write_encodec,
    write_hubert,
    write_mimi,
    write_program,
    write_s3,
)
from transforms.backends.units import hubert, weights
from transforms.backends.units.codec import TransformersCodec, codec_from
from transforms.backends.units.hubert import HubertFeatures, hubert_from
from transforms.backends.units.program import program_from
from transforms.backends.units.protocol import CodeModel
from transforms.backends.units.s3 import log_mel, s3_from
from transforms.backends.units.torch_scope import quiet_torch
from transforms.cluster_units import ClusterUnits
from transforms.clustering.assign import Assigner
from transforms.codec_units import CodecUnits

Wave = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def waves(*lengths: int) -> list[Wave]:
    chance = np.random.default_rng(sum(lengths))
    return [(0.1 * chance.standard_normal(length)).astype(np.float32) for length in lengths]


def features(spec: HubertFeatures, given: list[Wave]) -> list[npt.NDArray[np.float32]]:
    with spec.open() as extract:
        return extract(given)


STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
@pytest.mark.parametrize("shape", [{}, STABLE, {**STABLE, "do_normalize": True}])
@pytest.mark.parametrize("layer", [1, 2])
def test_features_are_the_hidden_states_of_the_whole_model(
    tmp_path: Path, kind: str, shape: dict[str, Any], layer: int
) -> None:
    """The usual script: the preprocessor, the whole model, hidden_states[layer]."""
    folder = write_hubert(tmp_path / "m", kind, **shape)
    (wave,) = waves(9000)
    model = AutoModel.from_pretrained(folder).eval()
    told = Wav2Vec2FeatureExtractor.from_pretrained(folder)(
        wave, sampling_rate=16000, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model(told.input_values, output_hidden_states=True).hidden_states
    (found,) = features(hubert_from(folder, layer), [wave])
    np.testing.assert_allclose(found, states[layer][0].numpy(), rtol=1e-4, atol=1e-5)


def test_the_last_layer_is_taken_before_the_norm_behind_it(tmp_path: Path) -> None:
    """fairseq's extract_features(output_layer=L) gives it so; transformers norms it."""
    folder = write_hubert(tmp_path / "m", **STABLE)
    (wave,) = waves(9000)
    model = AutoModel.from_pretrained(folder).eval()
    (found,) = features(hubert_from(folder, 3), [wave])
    with torch.inference_mode():
        normed = model.encoder.layer_norm(torch.from_numpy(found))
        expected = model(torch.from_numpy(wave)[None]).last_hidden_state[0]
    np.testing.assert_allclose(normed.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, expected.numpy(), atol=0.01)


@pytest.mark.parametrize("length", [0, 349, 350, 669, 670, 16000])
def test_there_are_as_many_frames_as_the_contract_says(length: int) -> None:
    spec = hubert_spec()
    told = spec.described.unit_set(
        name="x", audio_rate_hz=16000, roles=(), collapse="none", codebook_size=2
    )
    (found,) = features(spec, waves(length))
    assert found.shape == (told.frames(length), 16)


def test_long_audio_runs_in_the_originals_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubert, "CHUNK_SAMPLES", 4000)
    spec = hubert_spec()
    (wave,) = waves(9100)
    (whole,) = features(spec, [wave])
    parts = features(spec, [wave[:4000], wave[4000:8000], wave[8000:]])
    assert whole.tolist() == np.concatenate(parts).tolist()
    told = spec.described.unit_set(
        name="x", audio_rate_hz=16000, roles=(), collapse="none", codebook_size=2
    )
    assert len(whole) == told.frames(9100) == 12 + 12 + 3


def test_what_else_is_in_the_batch_changes_no_bit() -> None:
    given = waves(9000, 400, 5000, 9000, 16000)
    together = features(hubert_spec(), given)
    for wave, found in zip(given, together, strict=True):
        assert features(hubert_spec(), [wave])[0].tobytes() == found.tobytes()


@pytest.mark.parametrize("shape", [{}, STABLE])
@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
def test_padding_of_a_gpus_batches_is_in_no_sum(
    tmp_path: Path, kind: str, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same batches on the CPU: within 1e-4, and 99.9 % of the units equal."""
    monkeypatch.setattr(hubert, "PADDED_SHARE", 3.0)
    alone = hubert_from(write_hubert(tmp_path / "m", kind, **shape), 2)
    given = waves(16000, 9000, 700, 12345, 15999, 8000, 400)
    padded = features(replace(alone, padded=True), given)
    single = features(alone, given)
    worst = max(abs(a - b).max() for a, b in zip(padded, single, strict=True))
    assert worst < 1e-4
    everything = np.concatenate(single)
    assigner = Assigner(everything[::9].copy())
    same = assigner.nearest(np.concatenate(padded)) == assigner.nearest(everything)
    assert same.mean() >= 0.999
    assert len(same) > 150


def test_padding_that_a_group_norm_sees_changes_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the mask of the first norm the law above would not hold."""
    monkeypatch.setattr(hubert, "PADDED_SHARE", 3.0)
    monkeypatch.setattr(hubert, "_masked_norm", lambda norm: norm)
    alone = hubert_from(write_hubert(tmp_path / "m"), 2)
    given = waves(16000, 9000)
    padded, single = features(replace(alone, padded=True), given), features(alone, given)
    assert abs(padded[1] - single[1]).max() > 0.01


def test_a_batch_holds_little_padding() -> None:
    runner = hubert._Runner.__new__(hubert._Runner)
    runner._masked = True
    chance = np.random.default_rng(0)
    lengths = chance.integers(400, 640_000, 300).tolist()
    groups = runner._groups(lengths)
    assert sorted(n for group in groups for n in group) == list(range(300))
    for group in groups:
        padded = max(lengths[n] for n in group) * len(group)
        assert padded <= hubert.PADDED_SHARE * sum(lengths[n] for n in group)
        assert len(group) == 1 or padded <= hubert.BATCH_SAMPLES
    assert len(groups) < 150


def tampered(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the tiny HuBERT with other tensors."""
    shutil.copytree(models() / "hubert", folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _no_layer(tensors: dict[str, Any]) -> None:
    for name in [name for name in tensors if name.startswith("encoder.layers.1.")]:
        del tensors[name]


def _no_bias(tensors: dict[str, Any]) -> None:
    del tensors["encoder.layers.1.attention.q_proj.bias"]


def _narrow(tensors: dict[str, Any]) -> None:
    name = "feature_projection.projection.weight"
    tensors[name] = tensors[name][:, :6].copy()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_layer, r"lacks weights, encoder\.layers\.1\."),
        (_no_bias, r"lacks weights, encoder\.layers\.1\.attention\.q_proj\.bias"),
        (_narrow, r"is \[16, 6\], config.json wants \[16, 12\]"),
    ],
)
def test_partial_and_odd_weights_are_refused_by_their_headers(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    hubert_spec()
    with pytest.raises(BackendError, match=said):
        hubert_from(tampered(tmp_path / "m", change), 2)


def test_layers_above_the_one_that_is_asked_for_may_be_missing(tmp_path: Path) -> None:
    (expected,) = features(hubert_spec(), waves(5000))

    def cut(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.startswith("encoder.layers.2.")]:
            del tensors[name]

    folder = tampered(tmp_path / "m", cut)
    assert features(hubert_from(folder, 2), waves(5000))[0].tolist() == expected.tolist()
    with pytest.raises(BackendError, match=r"lacks weights, encoder\.layers\.2"):
        hubert_from(folder, 3)


def test_a_weight_that_transformers_would_draw_at_random_is_an_error(tmp_path: Path) -> None:
    """One that the headers' check does not know: the loader tells of it."""
    hubert_spec()

    def cut(tensors: dict[str, Any]) -> None:
        del tensors["encoder.layer_norm.weight"]

    folder = tampered(tmp_path / "m", cut)
    with pytest.raises(BackendError, match=r"1 of its weights are missing, encoder\.layer_norm"):
        features(hubert_from(folder, 2), waves(5000))


def test_weights_that_were_exchanged_are_not_opened(tmp_path: Path) -> None:
    spec = hubert_from(write_hubert(tmp_path / "m", seed=1), 2)
    write_hubert(tmp_path / "m", seed=2)
    with pytest.raises(BackendError, match=r"the weights in .* have the sha256"):
        features(spec, waves(5000))


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _another_kind(folder: Path) -> None:
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, "model_type": "bert"}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickled, r"in pytorch_model\.bin, a pickle, which is not read; save them as safetensors"),
        (_cut, "not a whole safetensors file"),
        (_another_kind, "holds a model of type 'bert', wanted one of hubert"),
        (lambda folder: (folder / "config.json").unlink(), r"there is no config\.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"there is no model\.safetensors"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "no preprocessor_config"),
    ],
)
def test_a_folder_that_is_no_model_says_what_it_lacks(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    hubert_spec()
    shutil.copytree(models() / "hubert", tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(BackendError, match=said):
        hubert_from(tmp_path / "m", 2)


@pytest.mark.parametrize("layer", [4, 12])
def test_a_layer_that_the_model_lacks_is_refused(layer: int) -> None:
    hubert_spec()
    with pytest.raises(SettingsError, match=rf"units\.layer: {layer}, but .* layers 1 to 3"):
        hubert_from(models() / "hubert", layer)


def test_normalization_follows_the_preprocessor_unless_it_is_told(tmp_path: Path) -> None:
    folder = write_hubert(tmp_path / "m", do_normalize=True)
    assert hubert_from(folder, 2).described.normalization == "zero mean, unit variance"
    assert hubert_from(folder, 2, normalize=False).described.normalization == "none"
    (folder / "preprocessor_config.json").unlink()
    assert not hubert_from(folder, 2, normalize=False).normalize


def test_a_fingerprint_has_checksums_and_no_place(tmp_path: Path) -> None:
    here = hubert_spec()
    shutil.copytree(models() / "hubert", tmp_path / "moved")
    moved = hubert_from(tmp_path / "moved", 2)
    assert here.identity() == moved.identity()
    others = [replace(here, **change) for change in ({"layer": 1}, {"device": "cuda"})]
    others += [replace(here, weights_sha256="0" * 64), replace(here, normalize=True)]
    assert all(other.identity() != here.identity() for other in others)


def test_shards_of_weights_have_one_checksum(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    model = AutoModel.from_pretrained(write_hubert(folder))
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="5KB")
    assert (folder / weights.INDEX).exists()
    spec = hubert_from(folder, 2)
    assert features(spec, waves(5000))[0].shape == (15, 16)
    next(iter(sorted(folder.glob("model-*.safetensors")))).unlink()
    with pytest.raises(BackendError, match=r"lacks model-.*copy all files"):
        hubert_from(folder, 2)


@pytest.fixture(scope="module")
def codecs() -> dict[str, CodeModel]:
    place = models()
    return {
        "mimi": codec_from(write_mimi(place / "mimi"), None),
        "encodec": codec_from(write_encodec(place / "encodec"), 2),
        "onnx": program_from(write_program(place / "onnx")),
        "torchscript": program_from(write_program(place / "ts", ".pt")),
        "export": program_from(write_program(place / "pt2", ".pt2")),
        "s3": s3_from(write_s3(place / "s3.onnx"), 25, 6561),
    }


CODECS = ["mimi", "encodec", "onnx", "torchscript", "export", "s3"]


@pytest.mark.parametrize("name", CODECS)
def test_codes_keep_their_contract_whatever_else_is_in_the_batch(
    codecs: dict[str, CodeModel], name: str
) -> None:
    model = codecs[name]
    rate = model.described.sample_rate_hz
    told = model.described.unit_set(
        name=name,
        audio_rate_hz=rate,
        roles=(),
        collapse="none",
        codebook_size=model.described.codebook_size,
    )
    shortest = 640 if name == "export" else 1  # it was exported so
    given = waves(24000, shortest, 9001, 24000, 1920, 1921, 0)
    with model.open() as encode:
        together = encode(given)
        alone = [encode([wave])[0] for wave in given]
    for wave, one, other in zip(given, together, alone, strict=True):
        assert one.dtype == np.int32
        assert len(one) == told.num_codebooks
        assert told.violations(one.reshape(-1).tolist(), None, len(wave)) == []
        assert one.tolist() == other.tolist()
    assert len(np.unique(together[0])) > 3, "a codec that always says the same shows nothing"


def test_the_codes_are_those_of_the_models_themselves(codecs: dict[str, CodeModel]) -> None:
    (wave,) = waves(24000)
    given = torch.from_numpy(wave)[None, None]
    mimi, encodec = codecs["mimi"], codecs["encodec"]
    assert isinstance(mimi, TransformersCodec)
    assert isinstance(encodec, TransformersCodec)
    with quiet_torch("cpu"), torch.inference_mode():  # sums change with the threads
        expected = {
            mimi.folder: MimiModel.from_pretrained(mimi.folder).eval().encode(given).audio_codes[0],
            encodec.folder: EncodecModel.from_pretrained(encodec.folder)
            .eval()
            .encode(given, bandwidth=0.9)
            .audio_codes[0, 0],
        }
    for codec in (mimi, encodec):
        with codec.open() as encode:
            assert encode([wave])[0].tolist() == expected[codec.folder].tolist()


def test_codebooks_that_a_codec_lacks_are_refused(codecs: dict[str, CodeModel]) -> None:
    with pytest.raises(SettingsError, match=r"units\.codebooks: 5, but .* has 4"):
        codec_from(models() / "mimi", 5)
    hubert_spec()
    with pytest.raises(BackendError, match="type 'hubert', wanted one of mimi, encodec"):
        codec_from(models() / "hubert", None)


def test_a_codec_without_some_weights_is_not_opened(tmp_path: Path) -> None:
    folder = write_mimi(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.startswith("encoder.layers"))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with (
        pytest.raises(BackendError, match="1 of its weights are missing"),
        codec_from(folder, None).open(),
    ):
        pass


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hop_samples": 160}, r"gives 25 frames for 4000 samples, its contract 25|gives 13"),
        ({"num_codebooks": 3}, r"gives int64 \[2, 25\], wanted integers \[3, T\]"),
        ({"input_rank": 1}, "does not run"),
        ({"flavor": "sweet"}, "flavor: extra inputs"),
        ({"hop_samples": 0}, "hop_samples: input should be greater"),
        ({"program": "toy.txt"}, r"wanted a file that ends in \.onnx"),
        ({"program": "gone.onnx"}, "gone.onnx: it cannot be read"),
    ],
)
def test_a_program_that_is_not_what_its_contract_says_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    contract = write_program(tmp_path, **changes)
    with pytest.raises(BackendError, match=said), program_from(contract).open():
        pass


def test_a_tokenizer_of_another_rate_is_refused_with_both(tmp_path: Path) -> None:
    path = write_s3(tmp_path / "s3.onnx", group=2)
    said = pytest.raises(BackendError, match=r"gives 100 tokens for 2 s, wanted 50; .*frame_rate")
    with said, s3_from(path, 25, 6561).open():
        pass
    with s3_from(path, 50, 4096).open() as encode:
        assert encode(waves(16000))[0].shape == (1, 50)


@pytest.mark.parametrize("length", [16000, 5555, 480_000])
def test_the_spectrum_is_whispers(length: int) -> None:
    (wave,) = waves(length)
    theirs = WhisperFeatureExtractor(feature_size=128)
    expected = theirs._np_extract_fbank_features(wave[None], "cpu")[0]
    assert log_mel(wave).shape == (128, length // 160)
    np.testing.assert_allclose(log_mel(wave), expected[:, : length // 160], atol=2e-4)


def test_a_gpu_computes_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, which torch lets cuDNN's convolutions have, would change features by 1e-3."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with quiet_torch("cuda:0"):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_units_of_a_gpu_want_one_and_the_first_of_them_count(tmp_path: Path) -> None:
    codec = codec_from(write_mimi(tmp_path / "m"), None)
    made: list[tuple[HubertFeatures | TransformersCodec, ClusterUnits | CodecUnits]] = []
    for device in ("cpu", "cuda"):
        model, coder = replace(hubert_spec(), device=device), replace(codec, device=device)
        cluster = ClusterUnits(model=model, set_name="h", num_clusters=6, roles=("assistant",))
        made += [
            (model, cluster),
            (coder, CodecUnits(model=coder, set_name="c", roles=("assistant",))),
        ]
    assert [item.gpus for item, _ in made] == [0.0, 0.0, 1.0, 1.0]
    assert [step.first_counts for _, step in made] == [False, False, True, True]


def test_padded_batches_of_several_threads_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A law that every step must keep, and that the laws' own tests cannot see on a CPU."""
    monkeypatch.setattr(hubert, "PADDED_SHARE", 9.0)
    given = [waves(1000 * n, 1700 * n, 700 * n + 400) for n in range(1, 9)]
    with replace(hubert_spec(), padded=True).open() as extract:
        alone = [extract(batch) for batch in given]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(extract, given * 5))
    for found, wanted in zip(together, alone * 5, strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
