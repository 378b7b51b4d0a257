"""A HuBERT of fairseq's (mHuBERT, HuBERT base, large, x-large) as a folder that transformers reads.

Names and layout of fairseq: fairseq/models/hubert/hubert.py and fairseq/models/wav2vec/wav2vec2.py.
Shapes follow from the tensors; what has no tensor (heads, input normalization) from the settings
beside them, and strides are those that every released HuBERT has.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from schemas.errors import BackendError
from transforms.backends.units.fairseq_file import read_checkpoint
from transforms.backends.units.torch_scope import quietly, require

KERNELS: Final = [10, 3, 3, 3, 3, 2, 2]
STRIDES: Final = [5, 2, 2, 2, 2, 2, 2]
HEADS: Final = {768: 12, 1024: 16, 1280: 16}  # by the size of a frame, where no setting says so
UNUSED: Final = ("final_proj.", "label_embs_concat", "target_glu.")  # of training alone
CONV: Final = "feature_extractor.conv_layers"
POSITION: Final = "encoder.pos_conv_embed.conv"
_RENAMED: Final = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", rf"{CONV}.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?", rf"{CONV}.\1.layer_norm."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"mask_emb$", "masked_spec_embed"),
    (r"encoder\.pos_conv\.0\.weight_g$", f"{POSITION}.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v$", f"{POSITION}.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.bias$", f"{POSITION}.bias"),
    (r"encoder\.layer_norm\.", "encoder.layer_norm."),
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"encoder.layers.\1.attention."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (r"encoder\.layers\.(\d+)\.fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (r"encoder\.layers\.(\d+)\.fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.", r"encoder.layers.\1.final_layer_norm."),
)
WANTED: Final = (
    f"{CONV}.0.0.weight",
    "post_extract_proj.weight",
    "encoder.pos_conv.0.weight_v",
    "encoder.layers.0.fc1.weight",
)


def import_hubert(file: Path, folder: Path) -> str:
    """Write the folder; what was read and written. Raises BackendError."""
    require("torch", "transformers")
    import transformers

    weights, told = read_checkpoint(file)
    kept = {name: item for name, item in weights.items() if not name.startswith(UNUSED)}
    lacking = [name for name in WANTED if name not in kept]
    if lacking:
        raise BackendError(
            f"{file}: it lacks {lacking[0]}, so it is no HuBERT as fairseq pretrains them (a "
            "finetuned one has other names); give such a checkpoint"
        )
    settings, normalize = _settings(file, kept, told)
    named = {_renamed(file, name): item.float() for name, item in kept.items()}
    with quietly():
        model = transformers.HubertModel(transformers.HubertConfig(**settings))
        wanted = {name: tuple(item.shape) for name, item in model.state_dict().items()}
        found = {name: tuple(item.shape) for name, item in named.items()}
        odd = sorted(set(wanted.items()) ^ set(found.items()))
        if odd:
            raise BackendError(
                f"{file}: {odd[0][0]} of the shape {list(odd[0][1])} is in one of checkpoint and "
                "model alone; it is a HuBERT of another layout, which cannot be read"
            )
        model.load_state_dict(named)
        model.save_pretrained(folder)
    before = {"do_normalize": normalize, "sampling_rate": 16000, "feature_size": 1}
    (folder / "preprocessor_config.json").write_text(json.dumps(before, indent=2) + "\n", "utf-8")
    return (
        f"{folder}: a HuBERT of {settings['num_hidden_layers']} layers and "
        f"{settings['hidden_size']} dimensions, {settings['num_attention_heads']} heads, input "
        f"{'normalized' if normalize else 'as it is'}"
    )


def _settings(
    file: Path, kept: Mapping[str, Any], told: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """The arguments of HubertConfig, and whether the waveform is normalized."""
    layers = {
        int(found[1]) for name in kept if (found := re.match(r"encoder\.layers\.(\d+)", name))
    }
    convs = [kept[name] for n in range(99) if (name := f"{CONV}.{n}.0.weight") in kept]
    kernels = [int(item.shape[2]) for item in convs]
    if kernels != KERNELS:
        raise BackendError(f"{file}: convolutions of {kernels} samples, wanted {KERNELS}")
    position = kept["encoder.pos_conv.0.weight_v"]
    size = int(position.shape[0])
    deep = f"{CONV}.1.2.1.weight" in kept  # a norm in every convolution: large models
    heads = told.get("encoder_attention_heads", HEADS.get(size))
    if not isinstance(heads, int):
        raise BackendError(f"{file}: nothing says how many heads its {size} dimensions have")
    settings = {
        "hidden_size": size,
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "intermediate_size": int(kept["encoder.layers.0.fc1.weight"].shape[0]),
        "conv_dim": [int(item.shape[0]) for item in convs],
        "conv_kernel": kernels,
        "conv_stride": STRIDES,
        "conv_bias": f"{CONV}.0.0.bias" in kept,
        "feat_extract_norm": "layer" if deep else "group",
        "do_stable_layer_norm": bool(told.get("layer_norm_first", deep)),
        "num_conv_pos_embeddings": int(position.shape[2]),
        "num_conv_pos_embedding_groups": size // int(position.shape[1]),
    }
    return settings, bool(told.get("normalize", deep))


def _renamed(file: Path, name: str) -> str:
    for pattern, new in _RENAMED:
        found, count = re.subn(f"^{pattern}", new, name)
        if count:
            return found
    raise BackendError(
        f"{file}: nothing is known of its weights {name}; it is a HuBERT of another layout"
    )
