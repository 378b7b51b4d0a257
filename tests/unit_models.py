"""Tiny models of units with random weights, saved as their users would have them on disk."""

import atexit
import json
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from transformers import (
    EncodecConfig,
    EncodecModel,
    HubertConfig,
    HubertModel,
    MimiConfig,
    MimiModel,
    WavLMConfig,
    WavLMModel,
)

from pipelines.unit_nodes import UnitPlan
from transforms.backends.units.hubert import HubertFeatures, hubert_from
from transforms.backends.units.program import program_from
from transforms.backends.units.protocol import Described
from transforms.cluster_units import ClusterUnits
from transforms.codec_units import CodecUnits
from transforms.fit_centroids import FitCentroids
from transforms.own_units import OwnUnits

CONVOLUTIONS: dict[str, Any] = {
    "conv_dim": [12, 12, 12],
    "conv_kernel": [20, 10, 4],
    "conv_stride": [10, 8, 4],
}  # sees 290 samples every 320
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.3,
}


def write_hubert(folder: Path, kind: str = "hubert", seed: int = 0, **changes: Any) -> Path:
    """A HuBERT or WavLM of 16 dimensions and 3 layers; ``do_normalize`` is the preprocessor's."""
    normalize = changes.pop("do_normalize", False)
    rate = changes.pop("sampling_rate", 16000)
    torch.manual_seed(seed)
    config_type, model_type = {
        "hubert": (HubertConfig, HubertModel),
        "wavlm": (WavLMConfig, WavLMModel),
    }[kind]
    model = model_type(config_type(**{**CONVOLUTIONS, **SMALL, **changes})).eval()
    model.save_pretrained(folder)
    told = {"do_normalize": normalize, "sampling_rate": rate, "feature_size": 1}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


@cache
def models() -> Path:
    """A folder for models that many tests read, gone when the process ends."""
    place = Path(tempfile.mkdtemp(prefix="voxmill-units-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


@cache
def hubert_spec(kind: str = "hubert") -> HubertFeatures:
    """Layer 2 of a tiny model."""
    return hubert_from(write_hubert(models() / kind, kind), 2)


def hubert_plan(**changes: Any) -> UnitPlan:
    """Six units of the tiny HuBERT, fitted on 400 frames."""
    spec, roles = hubert_spec(), ("assistant",)
    fit = FitCentroids(model=spec, seed=7, num_clusters=6, max_frames=400, roles=roles)
    step = ClusterUnits(model=spec, set_name="hubert6", num_clusters=6, roles=roles, **changes)
    return UnitPlan(step=step, fit=fit)


@cache
def codec_step() -> CodecUnits:
    """Two codebooks of the ONNX toy."""
    made = program_from(write_program(models() / "toy"))
    return CodecUnits(model=made, set_name="toy2", roles=("assistant",))


def own_step() -> OwnUnits:
    """Tokens of a speech model at 25 per second."""
    told = Described(
        model="tone", model_sha256="", sample_rate_hz=16000, hop_samples=640, grid="ceil",
        codebook_size=5,
    )  # fmt: skip
    return OwnUnits(set_name="own25", told=told, roles=("assistant",), slack_frames=2)


def write_mimi(folder: Path) -> Path:
    """A Mimi of 4 codebooks of 32 codes, 12.5 frames of 24 kHz audio per second."""
    torch.manual_seed(1)
    config = MimiConfig(
        hidden_size=16,
        num_filters=4,
        num_residual_layers=1,
        upsampling_ratios=[8, 6, 5, 4],
        codebook_size=32,
        codebook_dim=8,
        vector_quantization_hidden_dimension=8,
        num_quantizers=4,
        num_semantic_quantizers=1,
        num_hidden_layers=1,
        intermediate_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        upsample_groups=16,
    )
    model = MimiModel(config).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("embed_sum"):
            buffer.normal_()
    model.save_pretrained(folder)
    return folder


def write_encodec(folder: Path) -> Path:
    """An EnCodec of 24 kHz with codebooks of 64 codes."""
    torch.manual_seed(2)
    config = EncodecConfig(
        num_filters=4,
        hidden_size=8,
        codebook_dim=8,
        codebook_size=64,
        num_lstm_layers=1,
        target_bandwidths=[0.9, 1.8],
    )
    model = EncodecModel(config).eval()
    with torch.no_grad():  # codes around what the encoder gives, so that they differ
        frames = model.encoder(0.1 * torch.randn(1, 1, 64 * 320))[0].T
    spread = frames.std()
    for name, buffer in model.named_buffers():
        if name.endswith("embed"):
            first = name.startswith("quantizer.layers.0.")
            buffer.copy_(frames if first else torch.randn(64, 8) * spread)
    model.save_pretrained(folder)
    return folder


def write_program(folder: Path, suffix: str = ".onnx", hop: int = 320, **changes: Any) -> Path:
    """A codec that quantizes each hop's first sample twice: the contract of its program."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"toy{suffix}"
    if suffix == ".onnx":
        onnx.save(_program_graph(hop), str(path))
    else:
        example = torch.zeros(1, 1, 10 * hop + 1)
        if suffix == ".pt":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # but people have such files
                torch.jit.script(_Toy(hop)).save(str(path))
        else:
            shapes = {"wave": {2: torch.export.Dim("n", min=2 * hop)}}
            torch.export.save(
                torch.export.export(_Toy(hop), (example,), dynamic_shapes=shapes), path
            )
    contract = {
        "program": path.name,
        "sample_rate_hz": 16000,
        "hop_samples": hop,
        "num_codebooks": 2,
        "codebook_size": 16,
        **changes,
    }
    place = folder / "toy.yaml"
    place.write_text(yaml.safe_dump(contract))
    return place


class _Toy(torch.nn.Module):
    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        first = wave[:, :, :: self.hop]
        coarse = torch.clamp(torch.floor((first + 1) * 8), 0, 15)
        fine = torch.clamp(torch.floor((first + 1) * 128) - coarse * 16, 0, 15)
        return torch.cat([coarse, fine], dim=1).to(torch.int64)


def _program_graph(hop: int) -> onnx.ModelProto:
    wave = helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, 1, "n"])
    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, [1, 2, "t"])
    weight = np.array([8, 2], np.float32).reshape(2, 1, 1)
    made = [
        helper.make_node("Conv", ["wave", "w", "b"], ["scaled"], strides=[hop]),
        helper.make_node("Floor", ["scaled"], ["floor"]),
        helper.make_node("Clip", ["floor", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["codes"], to=TensorProto.INT64),
    ]
    values = {"w": weight, "b": np.array([8, 2], np.float32)}
    values |= {"low": np.float32(0), "high": np.float32(15)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    return _saved(helper.make_graph(made, "toy", [wave], [codes], constants))


def write_s3(path: Path, group: int = 4) -> Path:
    """A speech tokenizer: the mean of each ``group`` spectrum frames, cut into 6,561 levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mel = helper.make_tensor_value_info("feats", TensorProto.FLOAT, [1, 128, "m"])
    length = helper.make_tensor_value_info("feats_length", TensorProto.INT32, [1])
    codes = helper.make_tensor_value_info("indices", TensorProto.INT32, [1, "t"])
    pads = [0, 0]
    made = [
        helper.make_node("ReduceMean", ["feats"], ["mean"], axes=[1], keepdims=1),
        helper.make_node(
            "AveragePool", ["mean"], ["pooled"], kernel_shape=[group], strides=[group],
            pads=pads, ceil_mode=1,
        ),
        helper.make_node("Squeeze", ["pooled", "axis"], ["flat"]),
        helper.make_node("Add", ["flat", "two"], ["moved"]),
        helper.make_node("Mul", ["moved", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["indices"], to=TensorProto.INT32),
    ]  # fmt: skip
    values: dict[str, Any] = {"axis": np.array([1], np.int64), "two": np.float32(2)}
    values |= {"scale": np.float32(1000), "low": np.float32(0), "high": np.float32(6560)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    onnx.save(_saved(helper.make_graph(made, "s3", [mel, length], [codes], constants)), str(path))
    return path


def _saved(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
