"""Codes of transformers' Mimi and EnCodec, from a local folder: the first codebooks of a residual
quantizer, one utterance at a time.

    Defossez et al. 2024, Moshi (Mimi), arXiv:2410.00037; Defossez et al. 2022, EnCodec,
    arXiv:2210.13438. Each codebook quantizes what the ones before it left, so the first n of many
    are those that n alone would give.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.canonical import digest
from schemas.errors import BackendError, SettingsError
from transforms.backends.units.protocol import Codes, Described, Encode, Wave
from transforms.backends.units.torch_scope import quiet_torch, quietly, require
from transforms.backends.units.weights import (
    Hasher,
    check_loaded,
    check_sha256,
    file_sha256,
    read_json,
    weights_sha256,
)
from transforms.environment import versions

CODECS: Final = {"mimi": "MimiModel", "encodec": "EncodecModel"}
WHO: Final = "units.model"


@dataclass(frozen=True, kw_only=True)
class TransformersCodec:
    """A codec by its checksums; ``folder`` is only where it lies, and stands in no fingerprint."""

    folder: str
    weights_sha256: str
    config_sha256: str
    architecture: str
    sample_rate_hz: int
    hop_samples: int
    num_codebooks: int
    codebook_size: int
    device: str = "cpu"

    @property
    def gpus(self) -> float:
        """Of a worker."""
        return 0.0 if self.device == "cpu" else 1.0

    @property
    def bit_stable(self) -> bool:
        """On one thread of a CPU."""
        return self.device == "cpu"

    @property
    def described(self) -> Described:
        """Its frames and codebooks."""
        return Described(
            model=self.architecture,
            model_sha256=self.weights_sha256,
            sample_rate_hz=self.sample_rate_hz,
            hop_samples=self.hop_samples,
            grid="ceil",
            num_codebooks=self.num_codebooks,
            codebook_size=self.codebook_size,
        )

    def identity(self) -> Mapping[str, object]:
        """Checksums, codebooks, libraries, and the kind of device."""
        return {
            "weights_sha256": self.weights_sha256,
            "config_sha256": self.config_sha256,
            "num_codebooks": self.num_codebooks,
            "device": self.device.partition(":")[0],
            **({} if self.device == "cpu" else {"tf32": False}),
            **versions("torch", "transformers", "numpy", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[Encode]:
        """Load it. Raises BackendError for partial, changed or unfit weights."""
        require("torch", "transformers")
        check_sha256(Path(self.folder), WHO, self.weights_sha256)
        with quiet_torch(self.device):
            model = self._load()

            def encode(waves: Sequence[Wave]) -> list[Codes]:
                return [self._encode(model, wave) for wave in waves]

            tried = encode([np.zeros(self.hop_samples * 3 + 1, np.float32)])[0]
            if tried.shape != (self.num_codebooks, 4):
                raise BackendError(
                    f"{WHO}: {self.folder} gives codes {list(tried.shape)} for 3 hops and a "
                    f"sample, wanted [{self.num_codebooks}, 4]; its frame rate is not what "
                    "config.json says"
                )
            yield encode

    def _load(self) -> Any:  # noqa: ANN401 - torch.nn.Module
        import transformers

        made = getattr(transformers, CODECS[self.architecture])
        try:
            with quietly():
                model, info = made.from_pretrained(
                    self.folder,
                    local_files_only=True,
                    use_safetensors=True,
                    output_loading_info=True,
                )
        except (OSError, RuntimeError, ValueError) as error:
            raise BackendError(
                f"{WHO}: {self.folder} cannot be loaded: {str(error).strip()[:300]}"
            ) from error
        check_loaded(info, WHO, lambda name: name.startswith(("decoder", "upsample")))
        return model.eval().to(self.device)

    def _encode(self, model: Any, wave: Wave) -> Codes:  # noqa: ANN401 - torch.nn.Module
        import torch

        if not len(wave):
            return np.zeros((self.num_codebooks, 0), np.int32)
        input_B1N = torch.from_numpy(np.ascontiguousarray(wave))[None, None].to(self.device)
        with torch.inference_mode():
            if self.architecture == "mimi":
                codes = model.encode(input_B1N, num_quantizers=self.num_codebooks).audio_codes[0]
            else:
                most = max(model.config.target_bandwidths)
                codes = model.encode(input_B1N, bandwidth=most).audio_codes[0, 0]
        return np.ascontiguousarray(codes[: self.num_codebooks].cpu().numpy(), np.int32)


def codec_from(
    folder: Path, codebooks: int | None, *, device: str = "cpu", sha256: Hasher = file_sha256
) -> TransformersCodec:
    """The codec in a folder. ``codebooks`` None: all it has, for Mimi the 8 that Moshi takes.

    Raises BackendError and SettingsError, with the cure, for what cannot work.
    """
    config = read_json(folder / "config.json", WHO)
    kind = str(config.get("model_type", ""))
    if kind not in CODECS:
        raise BackendError(
            f"{WHO}: {folder} holds a model of type {kind!r}, wanted one of {', '.join(CODECS)}, "
            "or the YAML contract of an exported program (docs/units.md)"
        )
    rate, size = int(config.get("sampling_rate", 24000)), int(config.get("codebook_size", 0))
    if config.get("audio_channels", 1) != 1 or config.get("chunk_length_s"):
        raise BackendError(
            f"{WHO}: {folder} codes {config.get('audio_channels')} channels in chunks; wanted a "
            "codec of mono audio as a whole, such as EnCodec at 24 kHz"
        )
    if kind == "mimi":
        hop = round(rate / float(config.get("frame_rate", _mimi_rate(config, rate))))
        there, usual = int(config.get("num_quantizers", 32)), 8
    else:
        hop = math.prod(config["upsampling_ratios"])
        bits = -(-rate // hop) * math.ceil(math.log2(size))
        there = usual = int(1000 * max(config["target_bandwidths"]) // bits)
    wanted = min(usual, there) if codebooks is None else codebooks
    if wanted > there:
        raise SettingsError(f"units.codebooks: {wanted}, but {folder} has {there}")
    return TransformersCodec(
        folder=str(folder),
        weights_sha256=weights_sha256(folder, WHO, sha256),
        config_sha256=digest({key: value for key, value in config.items() if key[0] != "_"}),
        architecture=kind,
        sample_rate_hz=rate,
        hop_samples=hop,
        num_codebooks=wanted,
        codebook_size=size,
        device=device,
    )


def _mimi_rate(config: Mapping[str, Any], rate: int) -> float:
    """Frames per second from the ratios, and the halving that Mimi does behind them."""
    ratios: list[int] = config["upsampling_ratios"]
    return rate / math.prod(ratios) / 2
