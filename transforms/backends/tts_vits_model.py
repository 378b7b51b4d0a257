"""VITS (transformers' VitsModel) with each utterance's own noise, alone or in batches.

The two halves of VitsModel.forward: a text to its frames, one utterance at a time, so that no
duration depends on its neighbors; then frames to samples, in batches that are padded and masked
before every convolution, which makes what is computed inside an utterance the sums that it would
get alone (in another order, where the batch has more than one: see docs/backends.md).

B batch, T tokens, F frames, C channels, N samples.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Latents:
    """One utterance between the halves: ``prior_FC`` with its noise, and its speaker."""

    prior_FC: "torch.Tensor"
    speaker: int | None

    @property
    def frames(self) -> int:
        """How long it will be."""
        return int(self.prior_FC.shape[0])


def to_latents(
    model: Any,  # noqa: ANN401 - transformers is not typed
    tokens: Sequence[int],
    speaker: int | None,
    speaking_rate: float,
    seed: int,
    max_frames: int,
) -> Latents | int:
    """The first half. Gives the number of frames instead where they are more than ``max_frames``.

    Draws as VitsModel.forward does after ``torch.manual_seed(seed)`` on a CPU, but from a
    generator of its own, so no other code's draws change it.
    """
    import torch

    dice = torch.Generator("cpu").manual_seed(seed)
    device, dtype = model.device, model.dtype
    tokens_1T = torch.tensor([list(tokens)], dtype=torch.long, device=device)
    mask_1T1 = torch.ones_like(tokens_1T).unsqueeze(-1).to(dtype)
    voice = _voice(model, [speaker])
    encoded = model.text_encoder(
        input_ids=tokens_1T,
        padding_mask=mask_1T1,
        attention_mask=torch.ones_like(tokens_1T),
        return_dict=True,
    )
    hidden_1CT, mask_11T = encoded.last_hidden_state.transpose(1, 2), mask_1T1.transpose(1, 2)
    predictor = model.duration_predictor
    if model.config.use_stochastic_duration_prediction:
        noise_12T = torch.randn(1, 2, tokens_1T.shape[1], generator=dice).to(device, dtype)
        logs_11T = _stochastic(
            predictor, hidden_1CT, mask_11T, voice, noise_12T * model.noise_scale_duration
        )
    else:
        logs_11T = predictor(hidden_1CT, mask_11T, voice)
    each_T = torch.ceil(torch.exp(logs_11T) * mask_11T * (1.0 / speaking_rate))[0, 0]
    count = float(each_T.sum())
    if not count <= max_frames:  # a random duration may be anything, infinite too
        return int(min(count, 2**62)) if count == count else 2**62
    each_T = each_T.long()
    if not int(each_T.sum()):
        each_T[-1] = 1
    means_FC = torch.repeat_interleave(encoded.prior_means[0], each_T, dim=0)
    spread_FC = torch.repeat_interleave(encoded.prior_log_variances[0], each_T, dim=0)
    # Drawn through a transposed view, as VitsModel does: torch draws otherwise for such a layout.
    noise_1FC = torch.empty(1, *means_FC.shape)
    noise_1FC.transpose(1, 2).normal_(generator=dice)
    noise_FC = noise_1FC[0].to(device, dtype)
    return Latents(means_FC + noise_FC * torch.exp(spread_FC) * model.noise_scale, speaker)


def _stochastic(
    predictor: Any,  # noqa: ANN401 - transformers is not typed
    hidden: "torch.Tensor",
    mask: "torch.Tensor",
    voice: "torch.Tensor | None",
    noise: "torch.Tensor",
) -> "torch.Tensor":
    """The stochastic duration predictor backwards, with noise that is given to it."""
    import torch

    inputs = predictor.conv_pre(hidden)
    if voice is not None:
        inputs = inputs + predictor.cond(voice)
    inputs = predictor.conv_proj(predictor.conv_dds(inputs, mask)) * mask
    flows = list(predictor.flows)[::-1]
    latents = noise
    for flow in [*flows[:-2], flows[-1]]:  # the last but one has no effect on durations
        latents, _ = flow(torch.flip(latents, [1]), mask, global_conditioning=inputs, reverse=True)
    return latents[:, :1]


def to_samples(
    model: Any,  # noqa: ANN401 - transformers is not typed
    batch: Sequence[Latents],
) -> list[npt.NDArray[np.float32]]:
    """The second half: float samples [N] of each utterance of a batch."""
    import torch

    lengths = [item.frames for item in batch]
    most = max(lengths)
    prior_BCF = torch.stack(
        [torch.nn.functional.pad(item.prior_FC, (0, 0, 0, most - item.frames)) for item in batch]
    ).transpose(1, 2)
    counts_B = torch.tensor(lengths, device=prior_BCF.device)
    mask_B1F = (torch.arange(most, device=prior_BCF.device)[None] < counts_B[:, None])[:, None]
    mask_B1F = mask_B1F.to(prior_BCF.dtype)
    voice = _voice(model, [item.speaker for item in batch])
    latents_BCF = model.flow(prior_BCF, mask_B1F, voice, reverse=True) * mask_B1F
    if len(set(lengths)) == 1:
        waves_BN = model.decoder(latents_BCF, voice)[:, 0]
    else:
        with masked_convolutions(model.decoder, mask_B1F):
            waves_BN = model.decoder(latents_BCF, voice)[:, 0]
    hop = int(np.prod(model.config.upsample_rates))
    waves = waves_BN.float().cpu().numpy()
    return [wave[: count * hop] for wave, count in zip(waves, lengths, strict=True)]


@contextmanager
def masked_convolutions(
    decoder: Any,  # noqa: ANN401 - transformers is not typed
    mask_B1F: "torch.Tensor",
) -> Iterator[None]:
    """Every convolution of the decoder reads zeros after an utterance's end, as it would alone."""
    import torch

    frames = mask_B1F.shape[-1]

    def masked(module: object, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        (value,) = inputs
        times, rest = divmod(value.shape[-1], frames)
        if rest:
            raise ValueError(
                f"{value.shape[-1]} positions for {frames} frames: this decoder's upsampling is "
                "not by whole factors, so it cannot be batched; set batch_items: 1"
            )
        return (value * mask_B1F.repeat_interleave(times, dim=-1),)

    kinds = (torch.nn.Conv1d, torch.nn.ConvTranspose1d)
    hooks = [
        module.register_forward_pre_hook(masked)
        for name, module in decoder.named_modules()
        if isinstance(module, kinds) and name != "cond"
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _voice(
    model: Any,  # noqa: ANN401 - transformers is not typed
    speakers: Sequence[int | None],
) -> "torch.Tensor | None":
    """Speaker embeddings [B, C, 1] of a model that has them."""
    import torch

    if model.config.num_speakers <= 1:
        return None
    numbers = torch.tensor([speaker or 0 for speaker in speakers], device=model.device)
    found: torch.Tensor = model.embed_speaker(numbers).unsqueeze(-1)
    return found
