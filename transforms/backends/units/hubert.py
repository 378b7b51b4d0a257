"""Features of HuBERT, mHuBERT, WavLM and wav2vec 2.0: what layer L says of each frame.

A model lies in a local folder as transformers saves it. Only the first L layers are loaded and run.
Layer L is what fairseq's extract_features(output_layer=L) gives: the L-th layer's output, before
the norm that some models put behind their last layer.

    Hsu et al. 2021, HuBERT, arXiv:2106.07447; frames(n) follow from the stack of convolutions,
    which for all the usual models sees 400 samples every 320.

On a CPU utterances run one by one on one thread, so an utterance's features are the same bits
whatever it came with. On a GPU they run in padded batches, in which padding is kept out of every
sum: out of the attention, and out of the group norm of the first convolution, which the base models
have and which would otherwise see it. Bits then differ with the batch, by about 1e-5.

Legend of shape suffixes: B utterances, N samples, C channels, T frames, D dimensions.
"""

import math
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from schemas.canonical import digest
from schemas.errors import BackendError, SettingsError
from transforms.backends.units.protocol import Described, Extract, Features, Wave
from transforms.backends.units.torch_scope import quiet_torch, quietly, require
from transforms.backends.units.weights import (
    Hasher,
    check_loaded,
    check_sha256,
    file_sha256,
    read_json,
    shapes,
    weights_sha256,
)
from transforms.environment import versions

ARCHITECTURES: Final = {
    "hubert": "HubertModel",
    "wavlm": "WavLMModel",
    "wav2vec2": "Wav2Vec2Model",
}
CHUNK_SAMPLES: Final = 1_600_000  # 100 s at 16 kHz, as the original's feature readers have it
PADDED_SHARE: Final = 1.25  # a GPU batch's samples over those that are not padding, at most
BATCH_SAMPLES: Final = 16_000 * 160  # of a GPU batch, padding included
NORM_EPSILON: Final = 1e-7  # of transformers' Wav2Vec2FeatureExtractor


@dataclass(frozen=True, kw_only=True)
class HubertFeatures:
    """A model by its checksums; ``folder`` is only where it lies, and stands in no fingerprint."""

    folder: str
    weights_sha256: str
    config_sha256: str
    architecture: str
    layer: int
    dimensions: int
    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    normalize: bool
    device: str = "cpu"
    dtype: str = "float32"
    padded: bool = False  # whether utterances of about one length run together

    WHO: ClassVar[str] = "units.model"

    @property
    def gpus(self) -> float:
        """Of a worker."""
        return 0.0 if self.device == "cpu" else 1.0

    @property
    def bit_stable(self) -> bool:
        """On one thread of a CPU, one by one."""
        return self.device == "cpu" and not self.padded

    @property
    def described(self) -> Described:
        """The frames, and what they are made of."""
        return Described(
            model=self.architecture,
            model_sha256=self.weights_sha256,
            sample_rate_hz=self.sample_rate_hz,
            window_samples=self.window_samples,
            hop_samples=self.hop_samples,
            chunk_samples=CHUNK_SAMPLES,
            layer=self.layer,
            normalization="zero mean, unit variance" if self.normalize else "none",
        )

    def identity(self) -> Mapping[str, object]:
        """Checksums, layer, libraries, and the kind of device, since its sums differ."""
        return {
            "weights_sha256": self.weights_sha256,
            "config_sha256": self.config_sha256,
            "layer": self.layer,
            "normalize": self.normalize,
            "chunk_samples": CHUNK_SAMPLES,
            "device": self.device.partition(":")[0],
            **({} if self.device == "cpu" else {"tf32": False}),
            "dtype": self.dtype,
            "padded": self.padded,
            **versions("torch", "transformers", "numpy", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[Extract]:
        """Load layers 1 to L. Raises BackendError for partial, changed or unfit weights."""
        require("torch", "transformers")
        check_sha256(Path(self.folder), self.WHO, self.weights_sha256)
        with quiet_torch(self.device) as torch:
            model = _load(self, torch)
            runner = _Runner(self, model)
            tried = runner([np.zeros(self.window_samples + self.hop_samples, np.float32)])[0]
            if tried.shape != (2, self.dimensions):
                raise BackendError(
                    f"{self.WHO}: {self.folder} gives {list(tried.shape)} for "
                    f"{self.window_samples + self.hop_samples} samples, wanted "
                    f"[2, {self.dimensions}]; its config.json is not of these weights"
                )
            yield runner


def hubert_from(
    folder: Path,
    layer: int,
    *,
    normalize: bool | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    sha256: Hasher = file_sha256,
) -> HubertFeatures:
    """The model in a folder, by its configuration and the headers of its weights.

    ``normalize`` None: as preprocessor_config.json says. Raises BackendError and SettingsError,
    with the cure, for what cannot work.
    """
    who = HubertFeatures.WHO
    config = read_json(folder / "config.json", who)
    kind = str(config.get("model_type", ""))
    if kind not in ARCHITECTURES:
        raise BackendError(
            f"{who}: {folder} holds a model of type {kind!r}, wanted one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    layers, size = int(config["num_hidden_layers"]), int(config["hidden_size"])
    if not 1 <= layer <= layers:
        raise SettingsError(f"units.layer: {layer}, but {folder} has layers 1 to {layers}")
    before = read_json(folder / "preprocessor_config.json", who, missing_ok=normalize is not None)
    rate = int(before.get("sampling_rate", 16000))
    window, hop = _grid(config["conv_kernel"], config["conv_stride"])
    _check_tensors(shapes(folder, who), config, layer, folder)
    kept = {key: value for key, value in config.items() if key in _SHAPING}
    return HubertFeatures(
        folder=str(folder),
        weights_sha256=weights_sha256(folder, who, sha256),
        config_sha256=digest(kept),
        architecture=kind,
        layer=layer,
        dimensions=size,
        sample_rate_hz=rate,
        window_samples=window,
        hop_samples=hop,
        normalize=bool(before.get("do_normalize", True)) if normalize is None else normalize,
        device=device,
        dtype=dtype,
        padded=device != "cpu",
    )


# what of config.json changes a feature; dropout, training and tokenizer settings do not
_SHAPING: Final = frozenset(
    """model_type hidden_size num_attention_heads intermediate_size hidden_act layer_norm_eps
    feat_extract_norm feat_extract_activation feat_proj_layer_norm conv_dim conv_stride conv_kernel
    conv_bias num_conv_pos_embeddings num_conv_pos_embedding_groups conv_pos_batch_norm
    do_stable_layer_norm num_buckets max_bucket_distance""".split()
)


def _grid(kernels: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Window and hop, in samples, of a stack of convolutions without padding."""
    window, hop = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        window += (kernel - 1) * hop
        hop *= stride
    return window, hop


def _check_tensors(
    found: Mapping[str, tuple[int, ...]], config: Mapping[str, Any], layer: int, folder: Path
) -> None:
    """Raise BackendError where the headers already show that weights are missing or odd."""
    names = {_bare(name): shape for name, shape in found.items()}
    inside = {name.split(".", 3)[3] for name in names if name.startswith("encoder.layers.0.")}
    inside.discard("attention.rel_attn_embed.weight")  # WavLM's, in its first layer alone
    wanted = {f"encoder.layers.{n}.{rest}" for n in range(layer) for rest in inside}
    dims, kernels = config["conv_dim"], config["conv_kernel"]
    sizes: dict[str, tuple[int, ...]] = {
        f"feature_extractor.conv_layers.{n}.conv.weight": (dim, before, kernel)
        for n, (before, dim, kernel) in enumerate(zip([1, *dims], dims, kernels, strict=False))
    }
    sizes["feature_projection.projection.weight"] = (config["hidden_size"], dims[-1])
    missing = sorted((wanted | set(sizes)) - set(names))
    who = HubertFeatures.WHO
    if missing or not inside:
        raise BackendError(
            f"{who}: {folder} lacks weights, {', '.join(missing[:3]) or 'all layers'} among them; "
            "copy the whole model again"
        )
    for name, shape in sizes.items():
        if names[name] != shape:
            raise BackendError(
                f"{who}: {folder}: {name} is {list(names[name])}, config.json wants {list(shape)}; "
                "the two are of different models"
            )


def _bare(name: str) -> str:
    """A tensor's name without the prefix of a model with a head."""
    head, _, rest = name.partition(".")
    return rest if head in ARCHITECTURES else name


def _load(spec: HubertFeatures, torch: Any) -> Any:  # noqa: ANN401 - torch.nn.Module
    import transformers

    made = getattr(transformers, ARCHITECTURES[spec.architecture])
    try:
        with quietly():
            config = transformers.AutoConfig.from_pretrained(spec.folder, local_files_only=True)
            config.num_hidden_layers = spec.layer
            model, info = made.from_pretrained(
                spec.folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=getattr(torch, spec.dtype),
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"{spec.WHO}: {spec.folder} cannot be loaded: {str(error).strip()[:300]}"
        ) from error
    check_loaded(info, spec.WHO, lambda name: name.endswith("masked_spec_embed"))
    if getattr(config, "do_stable_layer_norm", False):
        model.encoder.layer_norm = torch.nn.Identity()  # it stands behind the last layer alone
    return model.eval().to(spec.device)


class _Runner:
    """An open model."""

    def __init__(self, spec: HubertFeatures, model: Any) -> None:  # noqa: ANN401 - torch.nn.Module
        self._spec, self._model = spec, model
        self._first = model.feature_extractor.conv_layers[0]
        self._masked = spec.padded
        self._lock = threading.Lock()  # the masked norm is told the lengths of one batch
        if self._masked and model.config.feat_extract_norm == "group":
            self._first.layer_norm = _masked_norm(self._first.layer_norm)

    def __call__(self, waves: Sequence[Wave]) -> list[Features]:
        """[T, D] float32 of each wave; no frames for one shorter than a window."""
        pieces = [piece for wave in waves for piece in _chunks(self._prepared(wave))]
        long = [n for n, piece in enumerate(pieces) if len(piece) >= self._spec.window_samples]
        nothing = np.zeros((0, self._spec.dimensions), np.float32)
        found = [nothing] * len(pieces)
        for group in self._groups([len(pieces[n]) for n in long]):
            places = [long[n] for n in group]
            with self._lock if self._masked else nullcontext():
                parts = self._run([pieces[n] for n in places])
            for place, part in zip(places, parts, strict=True):
                found[place] = part
        rest = iter(found)
        return [np.concatenate([next(rest) for _ in _chunks(wave)]) for wave in waves]

    def _prepared(self, wave: Wave) -> Wave:
        if not self._spec.normalize or not len(wave):
            return wave
        wide = wave.astype(np.float64)
        scaled = (wide - wide.mean()) / math.sqrt(wide.var() + NORM_EPSILON)
        return np.asarray(scaled, np.float32)

    def _groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """Which pieces run together: each alone on a CPU, of about one length on a GPU."""
        if not self._masked:
            return [[n] for n in range(len(lengths))]
        groups: list[list[int]] = []
        for n in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
            group = groups[-1] if groups else []
            longest = lengths[group[0]] if group else 0
            padded = longest * (len(group) + 1)
            real = sum(lengths[k] for k in group) + lengths[n]
            if group and padded <= BATCH_SAMPLES and padded <= PADDED_SHARE * real:
                group.append(n)
            else:
                groups.append([n])
        return groups

    def _run(self, waves: Sequence[Wave]) -> list[Features]:
        import torch

        lengths = torch.tensor([len(wave) for wave in waves])
        input_BN = torch.zeros(len(waves), int(lengths.max()))
        for row, wave in enumerate(waves):
            input_BN[row, : len(wave)] = torch.from_numpy(wave)
        mask_BN = None
        if self._masked:
            mask_BN = (torch.arange(input_BN.shape[1]) < lengths[:, None]).long()
            if isinstance(self._first.layer_norm, _norm_class()):
                conv = self._first.conv
                frames = (lengths - conv.kernel_size[0]) // conv.stride[0] + 1
                self._first.layer_norm.lengths = frames.to(self._spec.device)
            mask_BN = mask_BN.to(self._spec.device)
        with torch.inference_mode(), warnings.catch_warnings():
            # WavLM hands torch a mask and a bias of two types, which torch will not have forever
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            input_BN = input_BN.to(self._spec.device, self._model.dtype)
            hidden_BTD = self._model(input_BN, attention_mask=mask_BN).last_hidden_state
            hidden_BTD = hidden_BTD.float().cpu()
        window, hop = self._spec.window_samples, self._spec.hop_samples
        found: list[Features] = [
            hidden_BTD[row, : (len(wave) - window) // hop + 1].numpy()
            for row, wave in enumerate(waves)
        ]
        return found


def _chunks(wave: Wave) -> list[Wave]:
    return [
        wave[start : start + CHUNK_SAMPLES] for start in range(0, max(1, len(wave)), CHUNK_SAMPLES)
    ]


def _masked_norm(norm: Any) -> Any:  # noqa: ANN401 - torch.nn.Module
    return _norm_class()(norm)


def _norm_class() -> Any:  # noqa: ANN401 - a class of torch.nn.Module, made when torch is there
    from transforms.backends.units.masked_norm import MaskedChannelNorm

    return MaskedChannelNorm
