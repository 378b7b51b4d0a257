"""Train a byte-level BPE on a snapshot's texts: the tokenizer for where none is at hand.

python -m trainers.tokenizer URI --vocab 2000 --out tokenizer.json
"""

import argparse
import sys
from pathlib import Path

from schemas.errors import SettingsError
from trainers.byte_bpe import train_byte_bpe
from trainers.command import add_store_option, address_of, run_command
from trainers.corpus import open_snapshot
from trainers.text import load_tokenizer, require_tokenizers, save_tokenizer
from trainers.texts import WHICH, bounded, corpus_texts

MAX_TEXTS = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """The command; errors are one message on stderr."""
    options = _parser().parse_args(arguments)
    return run_command("trainers.tokenizer", lambda: _train(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m trainers.tokenizer",
        description="Train a byte-level BPE on the texts of a snapshot.",
    )
    parser.add_argument("uri", help="the corpus: a folder, or a bucket and prefix")
    parser.add_argument("--out", type=Path, required=True, help="the tokenizer.json to write")
    parser.add_argument("--vocab", type=int, default=2000, help="its size (default: 2000)")
    parser.add_argument("--split", default="train", help="whose texts (default: train)")
    parser.add_argument("--version", type=int, help="a snapshot (default: the newest)")
    parser.add_argument(
        "--texts", choices=WHICH, default="both", help="as spoken, as written, or both"
    )
    parser.add_argument(
        "--max-texts",
        type=int,
        default=MAX_TEXTS,
        help="train on so many distinct texts, chosen by their hash (default: 1000000)",
    )
    add_store_option(parser)
    return parser


def _train(options: argparse.Namespace) -> None:
    require_tokenizers()
    if options.max_texts < 1:
        raise SettingsError(f"--max-texts {options.max_texts}: wanted at least 1")
    corpus = open_snapshot(
        address_of(options.uri, options.store), options.version, split=options.split
    )
    texts = bounded(corpus_texts(corpus, options.texts), options.max_texts)
    checksum = save_tokenizer(train_byte_bpe(texts, options.vocab), options.out)
    tokenizer = load_tokenizer(options.out)
    num_bytes = sum(len(text.encode()) for text in texts)
    num_tokens = sum(len(tokenizer.encode(text)) for text in texts)
    print(
        f"{options.out}: {tokenizer.vocab_size} tokens from {len(texts)} distinct texts, "
        f"{num_bytes / max(1, num_tokens):.2f} bytes a token; sha256 {checksum}"
    )
    if tokenizer.vocab_size < options.vocab:
        sys.stderr.write(
            f"trainers.tokenizer: {options.vocab} tokens were asked for; the texts have no more "
            "pairs that occur twice\n"
        )


if __name__ == "__main__":
    sys.exit(main())
