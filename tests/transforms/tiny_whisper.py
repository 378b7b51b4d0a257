"""A Whisper of few weights, random but saved and loaded as real ones are, and its CTranslate2."""

import json
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LANGS = ("en", "zh", "de")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{lang}|>" for lang in LANGS),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"),
    *("<|nospeech|>", "<|notimestamps|>"),
)
SETTINGS: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_source_positions": 1500,
    "max_target_positions": 24,
    "num_mel_bins": 80,
}


def save_whisper(
    folder: Path,
    *,
    multilingual: bool = True,
    seed: int = 3,
    letter_weight: float = 1.0,
    **changes: Any,
) -> Path:
    """Write a model, its generation settings, its features' settings and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: number for number, letter in enumerate(alphabet)}
    vocab |= {f"Ġ{letter}": len(vocab) + n for n, letter in enumerate(LETTERS)}
    merges = [("Ġ", letter) for letter in LETTERS]
    fast = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    words = len(vocab)
    letters = {number for text, number in vocab.items() if text[-1] in LETTERS}
    ids = {token: words + number for number, token in enumerate(SPECIAL)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL[1:]),
    )
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    tokens = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": start,
    }
    config = WhisperConfig(
        vocab_size=words + len(SPECIAL) + 1501,  # and the timestamps
        **{**SETTINGS, **tokens, **changes},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WhisperForConditionalGeneration(config).eval()
        with torch.no_grad():  # otherwise it says one token whatever it hears
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(6.0)
            model.model.decoder.embed_tokens.weight[sorted(letters)] *= letter_weight
            for layer in model.model.decoder.layers:
                layer.encoder_attn.v_proj.weight.mul_(20.0)
                layer.encoder_attn.out_proj.weight.mul_(20.0)
                layer.self_attn.out_proj.weight.mul_(3.0)
    told: dict[str, Any] = {
        "max_length": config.max_target_positions,
        # Letters and spaces alone, so that what it says reads like words.
        "suppress_tokens": [
            number
            for number in range(words + len(SPECIAL))
            if number != end and number not in letters
        ],
        "begin_suppress_tokens": [end],
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "is_multilingual": multilingual,
        "return_timestamps": False,
        **tokens,
    }
    if multilingual:
        told["lang_to_id"] = {f"<|{lang}|>": ids[f"<|{lang}|>"] for lang in LANGS}
        told["task_to_id"] = {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}
    model.generation_config = GenerationConfig(**told)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    features = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    features.save_pretrained(folder)
    return folder


def save_faster_whisper(folder: Path, source: Path) -> Path:
    """The same model as CTranslate2 has it, with its tokenizer."""
    from ctranslate2.converters import TransformersConverter

    converter = TransformersConverter(
        str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]
    )
    converter.convert(str(folder), quantization="float32", force=True)
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    value = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: item for key, item in value.items() if item is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")
