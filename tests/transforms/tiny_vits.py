"""A VITS of few weights, random but saved and loaded as real ones are."""

import json
from pathlib import Path
from typing import Any

LETTERS = " abcdefghijklmnopqrstuvwxyz'-0123456789"
LOUD = 0.2  # of full scale, about
SETTINGS: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "ffn_dim": 16,
    "flow_size": 16,
    "spectrogram_bins": 9,
    "upsample_initial_channel": 16,
    "upsample_rates": [8, 8],
    "upsample_kernel_sizes": [16, 16],
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "duration_predictor_filter_channels": 16,
    "duration_predictor_num_flows": 2,
    "duration_predictor_flow_bins": 4,
    "prior_encoder_num_flows": 2,
    "prior_encoder_num_wavenet_layers": 2,
    "posterior_encoder_num_wavenet_layers": 2,
    "sampling_rate": 16000,
    # Makes about 0.08 s of a letter, as real speech is.
    "speaking_rate": 0.8,
}


def save_vits(folder: Path, *, speakers: int = 1, seed: int = 5, **changes: Any) -> Path:
    """Write a model that is loud enough to be taken for speech, and its tokenizer."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    many = {"num_speakers": speakers, "speaker_embedding_size": 4} if speakers > 1 else {}
    vocab = folder / "vocab.json"
    vocab.write_text(
        json.dumps({"<pad>": 0, **{x: n + 1 for n, x in enumerate(LETTERS)}, "<unk>": 40}),
        encoding="utf-8",
    )
    config = VitsConfig(vocab_size=41, **{**SETTINGS, **many, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = VitsModel(config).eval()
        with torch.no_grad():
            if speakers > 1:
                model.embed_speaker.weight.mul_(20.0)
            ids = torch.arange(1, 40)[None]
            wave = model(ids, speaker_id=0 if speakers > 1 else None).waveform
            model.decoder.conv_post.weight.mul_(LOUD / float(wave.abs().max()))
    model.save_pretrained(folder)
    VitsTokenizer(str(vocab), phonemize=False, add_blank=True, normalize=True).save_pretrained(
        folder
    )
    return folder
