"""A byte-level BPE trained on a corpus: the embedded default where no tokenizer is at hand.

The same texts give the same bytes of tokenizer.json, in any order and with any number of threads:
texts are made distinct and sorted, and equal counts of pairs are decided by their ids.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from schemas.errors import SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NUM_BYTES: Final = 256
PAD: Final = "<|pad|>"
END_OF_TEXT: Final = "<|endoftext|>"
CHAT: Final = ("<|im_start|>", "<|im_end|>")  # ChatML: a role's turn begins and ends
AUDIO: Final = ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")  # a clip's place in the text
SPECIAL: Final = (PAD, END_OF_TEXT, *CHAT, *AUDIO)  # ids 0..6, in this order


def train_byte_bpe(
    texts: Iterable[str], vocab_size: int, special: tuple[str, ...] = SPECIAL
) -> "Tokenizer":
    """A tokenizer with every byte, the special tokens and the most frequent merges.

    It encodes any text and decodes it to the same text. A small corpus may have fewer merges than
    ``vocab_size`` asks for. Raises SettingsError for a size below the bytes and special tokens, or
    without any text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    least = NUM_BYTES + len(special)
    if vocab_size < least:
        raise SettingsError(
            f"a vocabulary of {vocab_size}: wanted at least {least}: {NUM_BYTES} bytes and "
            f"{len(special)} special tokens"
        )
    ordered = sorted(set(texts))
    if not any(ordered):
        raise SettingsError(
            "a tokenizer of no text: the snapshot's samples have none; choose another split, or "
            "--texts both"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(ordered, trainer)
    return tokenizer
