"""A checkpoint of fairseq's becomes a folder that gives its features; nothing of it is run."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.errors import BackendError
from transforms.backends.units.fairseq_hubert import STRIDES, import_hubert
from transforms.backends.units.hubert import hubert_from

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")
pytest.importorskip("transformers")
F = torch.nn.functional

SIZE, CONV, INNER, LAYERS, HEADS = 32, 24, 40, 3, 4
Weights = dict[str, Any]


def weights(deep: bool) -> Weights:
    """Random tensors under the names of fairseq's HubertModel.state_dict()."""
    dice = torch.Generator().manual_seed(3)

    def some(*shape: int) -> Any:
        return torch.randn(*shape, generator=dice) * 0.3

    found: Weights = {"mask_emb": some(SIZE), "label_embs_concat": some(9, 8)}
    for n, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        found[f"feature_extractor.conv_layers.{n}.0.weight"] = some(CONV, CONV if n else 1, kernel)
        if deep or n == 0:
            norm = f"feature_extractor.conv_layers.{n}.2.{'1.' if deep else ''}"
            found |= {f"{norm}weight": 1 + some(CONV), f"{norm}bias": some(CONV)}
    found |= {"encoder.pos_conv.0.weight_g": some(1, 1, 16).abs()}
    found |= {"encoder.pos_conv.0.weight_v": some(SIZE, SIZE // 4, 16)}
    found |= {"encoder.pos_conv.0.bias": some(SIZE)}
    lines = {"post_extract_proj": (SIZE, CONV), "final_proj": (8, SIZE)}
    norms = {"layer_norm": CONV, "encoder.layer_norm": SIZE}
    for n in range(LAYERS):
        here = f"encoder.layers.{n}"
        lines |= {f"{here}.self_attn.{k}_proj": (SIZE, SIZE) for k in ("k", "v", "q", "out")}
        lines |= {f"{here}.fc1": (INNER, SIZE), f"{here}.fc2": (SIZE, INNER)}
        norms |= {f"{here}.{k}layer_norm": SIZE for k in ("self_attn_", "final_")}
    for name, shape in lines.items():
        found |= {f"{name}.weight": some(*shape), f"{name}.bias": some(shape[0])}
    for name, size in norms.items():
        found |= {f"{name}.weight": 1 + some(size), f"{name}.bias": some(size)}
    return found


def features(w: Weights, wave: Any, layer: int, deep: bool) -> Any:
    """HubertModel.extract_features(output_layer=layer), by its source and torch's functions."""

    def norm(name: str, x: Any) -> Any:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def line(name: str, x: Any) -> Any:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def attend(name: str, x: Any) -> Any:
        q, k, v = (
            line(f"{name}.{kind}_proj", x).reshape(len(x), HEADS, -1).transpose(0, 1)
            for kind in ("q", "k", "v")
        )
        share = (q @ k.transpose(1, 2) / (SIZE // HEADS) ** 0.5).softmax(-1)
        return line(f"{name}.out_proj", (share @ v).transpose(0, 1).reshape(len(x), SIZE))

    x = F.layer_norm(wave, wave.shape)[None, None] if deep else wave[None, None]
    for n, stride in enumerate(STRIDES):
        here = f"feature_extractor.conv_layers.{n}"
        x = F.conv1d(x, w[f"{here}.0.weight"], stride=stride)
        if deep:
            x = norm(f"{here}.2.1", x.transpose(1, 2)).transpose(1, 2)
        elif n == 0:
            x = F.group_norm(x, CONV, w[f"{here}.2.weight"], w[f"{here}.2.bias"])
        x = F.gelu(x)
    x = line("post_extract_proj", norm("layer_norm", x[0].T))
    v = w["encoder.pos_conv.0.weight_v"]
    kernel = v * w["encoder.pos_conv.0.weight_g"] / v.norm(dim=(0, 1), keepdim=True)
    placed = F.conv1d(x.T[None], kernel, w["encoder.pos_conv.0.bias"], padding=8, groups=4)
    x = x + F.gelu(placed[..., :-1])[0].T
    if not deep:
        x = norm("encoder.layer_norm", x)
    for n in range(layer):
        here = f"encoder.layers.{n}"
        if deep:
            x = x + attend(f"{here}.self_attn", norm(f"{here}.self_attn_layer_norm", x))
            inner = norm(f"{here}.final_layer_norm", x)
            x = x + line(f"{here}.fc2", F.gelu(line(f"{here}.fc1", inner)))
        else:
            x = norm(f"{here}.self_attn_layer_norm", x + attend(f"{here}.self_attn", x))
            inner = line(f"{here}.fc2", F.gelu(line(f"{here}.fc1", x)))
            x = norm(f"{here}.final_layer_norm", x + inner)
    return x


def saved(path: Path, model: Weights, deep: bool = False, **options: Any) -> Path:
    told = {"encoder_attention_heads": HEADS, "layer_norm_first": deep}
    cfg = {"model": told, "task": {"normalize": deep}}
    torch.save({"args": None, "cfg": cfg, "model": model}, path, **options)
    return path


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("layer", [1, 3])
def test_its_features_are_those_of_fairseq(tmp_path: Path, deep: bool, layer: int) -> None:
    file = saved(tmp_path / "h.pt", weights(deep), deep)
    told = import_hubert(file, tmp_path / "m")
    assert told.endswith("input normalized" if deep else "input as it is")
    assert "3 layers and 32 dimensions, 4 heads" in told
    wave: npt.NDArray[np.float32] = np.random.default_rng(1).normal(0, 0.2, 6000).astype(np.float32)
    with hubert_from(tmp_path / "m", layer).open() as extract:
        (found,) = extract([wave])
    wanted = features(weights(deep), torch.from_numpy(wave), layer, deep)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3, atol=1e-4)
    assert json.loads((tmp_path / "m/preprocessor_config.json").read_text())["do_normalize"] is deep


class Touch:
    """What a pickle runs when it is loaded as pickles are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_stands_beside_the_weights_is_read_and_never_run(tmp_path: Path, zipped: bool) -> None:
    args = argparse.Namespace(encoder_attention_heads=HEADS, normalize=True)
    content = {"model": weights(False), "args": args, "task_state": Touch(tmp_path / "ran")}
    torch.save(content, tmp_path / "h.pt", _use_new_zipfile_serialization=zipped)
    told = import_hubert(tmp_path / "h.pt", tmp_path / "m")
    assert told.endswith("4 heads, input normalized")  # of the namespace
    assert not (tmp_path / "ran").exists()


class Node:
    """As omegaconf's: a DictConfig holds nodes in _content, a leaf its value in _val."""

    def __init__(self, value: object) -> None:
        if isinstance(value, dict):
            self._content = {key: Node(item) for key, item in value.items()}
        else:
            self._val = value


def test_settings_are_read_out_of_omegaconfs_nodes(tmp_path: Path) -> None:
    cfg = {"model": {"encoder_attention_heads": 2}, "task": {"normalize": True}}
    content = {"model": weights(False), "args": None, "cfg": Node(cfg)}
    torch.save(content, tmp_path / "h.pt")
    assert import_hubert(tmp_path / "h.pt", tmp_path / "m").endswith("2 heads, input normalized")


def _without(name: str) -> Weights:
    found = weights(False)
    del found[name]
    return found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            _without("post_extract_proj.weight"),
            "lacks post_extract_proj.weight, so it is no HuBERT",
        ),
        (_without("encoder.layers.1.fc2.bias"), "output_dense.bias .*another layout"),
        (
            weights(False) | {"quantizer.vars": torch.zeros(3)},
            "nothing is known of its weights quan",
        ),
        (
            weights(False) | {"feature_extractor.conv_layers.0.0.weight": torch.zeros(CONV, 1, 8)},
            r"convolutions of \[8, 3, 3, 3, 3, 2, 2\] samples",
        ),
        ({"w2v_encoder.proj.weight": torch.zeros(3)}, "finetuned"),
        ([1], "no weights under 'model'"),
    ],
)
def test_what_is_no_such_hubert_is_refused(tmp_path: Path, model: Any, said: str) -> None:
    saved(tmp_path / "h.pt", model)
    with pytest.raises(BackendError, match=said):
        import_hubert(tmp_path / "h.pt", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_torn_or_absent_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.pt").write_bytes(saved(tmp_path / "h.pt", weights(False)).read_bytes()[:9000])
    with pytest.raises(BackendError, match=r"torn\.pt: it is no checkpoint"):
        import_hubert(tmp_path / "torn.pt", tmp_path / "m")
    with pytest.raises(BackendError, match=r"gone\.pt: there is no such file"):
        import_hubert(tmp_path / "gone.pt", tmp_path / "m")
