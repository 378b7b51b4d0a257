"""A first look at a snapshot as a trainer meets it: one batch, its order, shapes and rates.

python -m trainers.peek URI --batch-size 8 --features mel80 units
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from schemas.errors import SettingsError
from schemas.unitset import UnitSet
from trainers.collate import Batch, collate
from trainers.command import run_command
from trainers.features.examples import NAMES, Examples
from trainers.reader import Reader, Source, open_reader
from trainers.sample import Sample
from trainers.text import load_tokenizer

SHOWN = 8  # samples of a batch


def main(arguments: list[str] | None = None) -> int:
    """The command; errors are one message on stderr."""
    options = _parser().parse_args(arguments)
    return run_command("trainers.peek", lambda: _peek(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m trainers.peek",
        description="Print a batch of a snapshot: its order, shapes, rates and state.",
    )
    parser.add_argument("uri", nargs="+", help="the corpus, or several that are mixed")
    parser.add_argument(
        "--weights", type=float, nargs="+", help="share of each corpus (default: equal)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="over all ranks (default: 8)")
    parser.add_argument(
        "--features", nargs="+", default=[], choices=NAMES, help="front ends to run (default: none)"
    )
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json, for tokens")
    parser.add_argument("--split", default="train", help="default: train")
    parser.add_argument("--version", type=int, help="a snapshot (default: the newest)")
    parser.add_argument("--seed", type=int, default=0, help="of the order (default: 0)")
    parser.add_argument("--epoch", type=int, default=0, help="default: 0")
    parser.add_argument("--no-shuffle", action="store_true", help="the order of an evaluation")
    parser.add_argument(
        "--steps", type=int, default=20, help="batches to time, at most (default: 20)"
    )
    return parser


def _peek(options: argparse.Namespace) -> None:
    reader = _open(options)
    examples = _examples(options, reader)
    began = time.perf_counter()
    batches = iter(reader)
    batch = next(batches)
    first_s = time.perf_counter() - began
    for line in _corpora(reader):
        print(line)
    print(_order(reader, options))
    print(f"\nfirst batch, after {first_s:.2f} s: {_summary(reader, batch)}")
    for line in _table(batch):
        print(line)
    if options.features:
        print("\nshapes")
        arrays = collate([examples(sample) for sample in batch], examples.pads())
        for line in _shapes(arrays):
            print(line)
    state = json.dumps(reader.state_dict())
    print(f"\nrates\n{_rates(batches, options.steps, examples)}")
    print(f"\nstate after the first batch, {len(state)} bytes\n{state}")


def _open(options: argparse.Namespace) -> Reader:
    weights = options.weights or [1.0] * len(options.uri)
    if len(weights) != len(options.uri):
        raise SettingsError(
            f"--weights has {len(weights)} numbers for {len(options.uri)} corpora; give one each"
        )
    if options.steps < 1:
        raise SettingsError(f"--steps {options.steps}: wanted at least 1")
    if options.epoch and len(options.uri) > 1:
        raise SettingsError("--epoch is for one corpus; a mixture has no epochs of its own")
    sources = [
        Source(uri=uri, weight=weight, version=options.version, split=options.split)
        for uri, weight in zip(options.uri, weights, strict=True)
    ]
    reader = open_reader(
        sources if len(sources) > 1 else sources[0],
        batch_size=options.batch_size,
        seed=options.seed,
        shuffle=not options.no_shuffle,
        remainder="pad" if options.no_shuffle else "drop",
    )
    if options.epoch:
        reader.set_epoch(options.epoch)
    return reader


def _examples(options: argparse.Namespace, reader: Reader) -> Examples:
    sets = [UnitSet.from_json(item) for item in reader.corpora[0].manifest["unit_sets"]]
    return Examples(
        names=options.features,
        seed=options.seed,
        unit_set=sets[0] if sets else None,
        tokenizer=load_tokenizer(options.tokenizer) if options.tokenizer else None,
    )


def _corpora(reader: Reader) -> Iterator[str]:
    for corpus in reader.corpora:
        hours = sum(entry["seconds"] for entry in corpus.shards) / 3600
        size_mb = sum(entry["bytes"] for entry in corpus.shards) / 1e6
        yield (
            f"corpus  {corpus.store.uri}, version {corpus.manifest['version']}, {corpus.split}: "
            f"{corpus.num_samples} samples, {hours:.2f} h, {size_mb:.1f} MB in "
            f"{len(corpus.shards)} shards"
        )
        for item in corpus.manifest["unit_sets"]:
            units = UnitSet.from_json(item)
            yield (
                f"units   {units.name}: {units.codebook_size} ids at {units.frame_rate_hz:g} Hz, "
                f"{units.num_codebooks} codebook(s), collapse {units.collapse}, "
                f"of {', '.join(units.roles)}"
            )


def _order(reader: Reader, options: argparse.Namespace) -> str:
    order = reader.order
    steps = reader.steps_per_epoch
    length = "without end (a mixture)" if steps is None else f"{steps} steps an epoch"
    kind = f"shuffled, seed {order.seed}, epoch {options.epoch}" if order.shuffle else "canonical"
    return (
        f"order   {kind}: {length}, {order.batch_size} samples each from {order.lanes} lanes, "
        f"blocks of {order.block}, windows of {order.window}; remainder: {order.remainder}"
    )


def _summary(reader: Reader, batch: Sequence[Sample]) -> str:
    seconds = sum(sample.duration_s for sample in batch)
    size_mb = sum(len(sample.data) for sample in batch) / 1e6
    return f"{len(batch)} samples, {seconds:.1f} s of audio, {size_mb:.2f} MB"


def _table(batch: Sequence[Sample]) -> Iterator[str]:
    yield f"{'position':>8}  {'key':<28}{'user s':>7}{'all s':>7}{'units':>7}  first words"
    for sample in batch[:SHOWN]:
        text = " ".join(turn.spoken_text for turn in sample.turns[:1])
        words = text if len(text) <= 44 else text[:41] + "..."
        yield (
            f"{sample.position:>8}  {sample.key:<28}{sample.user_s:>7.2f}{sample.duration_s:>7.2f}"
            f"{sample.num_units:>7}  {words}"
        )
    if len(batch) > SHOWN:
        yield f"{'...':>8}  and {len(batch) - SHOWN} more"


def _shapes(batch: Batch) -> Iterator[str]:
    for name, array in batch.items():
        if array.dtype.kind == "U":
            continue
        shape = ", ".join(map(str, array.shape))
        values = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        yield (
            f"  {name:<22}{array.dtype!s:<9}[{shape}]".ljust(52)
            + f"  {values.min():.4g} .. {values.max():.4g}"
        )


def _rates(batches: Iterator[list[Sample]], steps: int, examples: Examples) -> str:
    lines = []
    kinds = {"reading, bytes checked": False}
    if examples.names:
        kinds[f"with {', '.join(examples.names)}"] = True
    for kind, with_features in kinds.items():
        samples, seconds, size, taken = 0, 0.0, 0, 0
        began = time.perf_counter()
        for batch in batches:
            if with_features:
                collate([examples(sample) for sample in batch], examples.pads())
            samples += len(batch)
            seconds += sum(sample.duration_s for sample in batch)
            size += sum(len(sample.data) for sample in batch)
            taken += 1
            if taken == steps:
                break
        wall_s = time.perf_counter() - began
        if not taken:
            lines.append(f"  {kind}: the epoch has no further batch; give a smaller --batch-size")
            continue
        lines.append(
            f"  {kind}: {samples / wall_s:,.0f} samples/s, {seconds / wall_s:,.0f} s of audio/s, "
            f"{size / wall_s / 1e6:,.1f} MB/s ({taken} steps in this process)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
