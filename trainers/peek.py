"""A first look at a snapshot as a trainer meets it: one batch, its order, shapes, rates and state.

python -m trainers.peek URI --batch-size 8 --features mel80 units
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.errors import SettingsError
from schemas.unitset import UnitSet
from trainers.batching.buckets import Buckets
from trainers.batching.costs import ChatTokens, Cost, audio_tokens
from trainers.batching.grouping import Bucketing, Grouping, Packing
from trainers.collate import Batch, collate
from trainers.command import add_store_option, address_of, run_command
from trainers.features.examples import NAMES, Examples
from trainers.reader import Reader, Source, open_reader
from trainers.sample import Sample
from trainers.text import TextTokenizer, load_tokenizer

SHOWN = 16  # samples of a batch
WORDS = 40  # characters of the first turn


def main(arguments: list[str] | None = None) -> int:
    """The command; errors are one message on stderr."""
    options = _parser().parse_args(arguments)
    return run_command("trainers.peek", lambda: _peek(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m trainers.peek",
        description="Print a batch of a snapshot: its order, shapes, rates and state.",
    )
    add = parser.add_argument
    add("uri", nargs="+", help="the corpus, or several that are mixed")
    add("--weights", type=float, nargs="+", help="share of each corpus (default: equal)")
    add("--batch-size", type=int, default=8, help="samples of a step (default: 8)")
    add("--features", nargs="+", default=[], choices=NAMES, help="front ends (default: none)")
    add("--tokenizer", type=Path, help="a tokenizer.json, for tokens and packs")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--pack", type=int, metavar="TOKENS", help="packs of so many tokens")
    group.add_argument(
        "--buckets", type=float, nargs="+", metavar="SECONDS", help="edges of duration buckets"
    )
    add("--split", default="train", help="default: train")
    add("--version", type=int, help="a snapshot (default: the newest)")
    add("--seed", type=int, default=0, help="of the order (default: 0)")
    add("--epoch", type=int, default=0, help="default: 0")
    add("--no-shuffle", action="store_true", help="the order of an evaluation")
    add("--steps", type=int, default=20, help="steps to time, at most (default: 20)")
    add_store_option(parser)
    return parser


def _peek(options: argparse.Namespace) -> None:
    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    reader = _open(options, tokenizer)
    examples = _examples(options, reader, tokenizer)
    batches = reader.batches(reader.stop_after(1))
    began = time.perf_counter()
    batch = next(batches, None)
    first_s = time.perf_counter() - began
    if batch is None:
        raise SettingsError("the epoch has no step; give a smaller --batch-size")
    state = json.dumps(reader.state_dict())
    for line in _corpora(reader):
        print(line)
    print(_order(reader, options))
    print(f"\nfirst batch, after {first_s:.2f} s: {_summary(batch)}")
    for line in _table(batch):
        print(line)
    if examples.names:
        print("\nshapes")
        for line in _shapes(_arrays(examples, batch)):
            print(line)
    print("\nrates, in this process")
    for line in _rates(batches, options.steps, examples):
        print(line)
    print(f"\nstate after the first batch, {len(state)} bytes\n{state}")


def _open(options: argparse.Namespace, tokenizer: TextTokenizer | None) -> Reader:
    weights = options.weights or [1.0] * len(options.uri)
    if len(weights) != len(options.uri):
        raise SettingsError(
            f"--weights has {len(weights)} numbers for {len(options.uri)} corpora; give one each"
        )
    if options.steps < 1:
        raise SettingsError(f"--steps {options.steps}: wanted at least 1")
    sources = [
        Source(
            uri=address_of(uri, options.store),
            weight=weight,
            version=options.version,
            split=options.split,
        )
        for uri, weight in zip(options.uri, weights, strict=True)
    ]
    reader = open_reader(
        sources if len(sources) > 1 else sources[0],
        batch_size=options.batch_size,
        seed=options.seed,
        shuffle=not options.no_shuffle,
        remainder="pad" if options.no_shuffle else "drop",
        grouping=_grouping(options, tokenizer),
    )
    if options.epoch:
        reader.set_epoch(options.epoch)
    return reader


def _grouping(options: argparse.Namespace, tokenizer: TextTokenizer | None) -> Grouping | None:
    if options.pack is not None:
        cost: Cost = audio_tokens if tokenizer is None else ChatTokens(tokenizer)
        return Packing(limit=options.pack, cost=cost, per_step=1)
    if options.buckets:
        buckets = Buckets(edges_s=tuple(options.buckets), batch_size=options.batch_size)
        return Bucketing(buckets=buckets, per_step=1)
    return None


def _examples(
    options: argparse.Namespace, reader: Reader, tokenizer: TextTokenizer | None
) -> Examples:
    sets = [UnitSet.from_json(item) for item in reader.corpora[0].manifest["unit_sets"]]
    return Examples(
        names=options.features,
        seed=options.seed,
        unit_set=sets[0] if sets else None,
        tokenizer=tokenizer,
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
    kind = f"shuffled, seed {order.seed}, epoch {options.epoch}" if order.shuffle else "canonical"
    steps = reader.steps_per_epoch
    length = "" if steps is None else f"{steps} steps an epoch, "
    if not reader.has_epochs:
        length = "a mixture without end, "
    cut = "" if reader.grouping is None else f"\ngroups  {json.dumps(reader.grouping.to_json())}"
    return (
        f"order   {kind}: {length}{order.batch_size} samples a step from {order.lanes} lanes, "
        f"blocks of {order.block}, windows of {order.window}; remainder: {order.remainder}{cut}"
    )


def _summary(batch: Sequence[Sample]) -> str:
    seconds = sum(sample.duration_s for sample in batch)
    size_mb = sum(len(sample.data) for sample in batch) / 1e6
    shards = len({(sample.corpus, sample.shard) for sample in batch})
    return f"{len(batch)} samples of {shards} shards, {seconds:.1f} s of audio, {size_mb:.2f} MB"


def _table(batch: Sequence[Sample]) -> Iterator[str]:
    header = f"{'user s':>7}{'all s':>7}{'units':>7}  first words"
    yield f"{'position':>8}  {'key':<27}{'shard':<14}{header}"
    for sample in batch[:SHOWN]:
        text = _visible(next((turn.spoken_text for turn in sample.turns), ""))
        words = text if len(text) <= WORDS else text[: WORDS - 3] + "..."
        shard = "-".join(sample.shard.split("-")[:2])
        lengths = f"{sample.user_s:>7.2f}{sample.duration_s:>7.2f}{sample.num_units:>7}"
        note = "  (padding)" if sample.padding else ""
        yield f"{sample.position:>8}  {sample.key:<27}{shard:<14}{lengths}  {words}{note}"
    if len(batch) > SHOWN:
        yield f"{'...':>8}  and {len(batch) - SHOWN} more"


def _visible(text: str) -> str:
    """One line, and no character of a row that could drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _arrays(examples: Examples, batch: Sequence[Sample]) -> Batch:
    return collate([examples(sample) for sample in batch], examples.pads())


def _shapes(batch: Batch) -> Iterator[str]:
    for name, array in batch.items():
        if array.dtype.kind == "U" or not array.size:
            continue
        shape = f"[{', '.join(map(str, array.shape))}]"
        span = f"{array.min():.4g} .. {array.max():.4g}"
        yield f"  {name:<23}{array.dtype!s:<9}{shape:<18}{'' if array.dtype == bool else span}"


def _rates(batches: Iterator[list[Sample]], steps: int, examples: Examples) -> Iterator[str]:
    spent_s = {"reading, bytes checked": 0.0, f"{', '.join(examples.names)}": 0.0}
    reading, features = spent_s
    samples, seconds, size, taken = 0, 0.0, 0, 0
    while taken < steps:
        began = time.perf_counter()
        batch = next(batches, None)
        read = time.perf_counter()
        if batch is None:
            break
        if examples.names:
            _arrays(examples, batch)
        spent_s[reading] += read - began
        spent_s[features] += time.perf_counter() - read
        samples += len(batch)
        seconds += sum(sample.duration_s for sample in batch)
        size += sum(len(sample.data) for sample in batch)
        taken += 1
    if not taken:
        yield "  the epoch has no second step to time; give a smaller --batch-size"
        return
    for kind, wall_s in spent_s.items():
        if kind:
            per_s = 1 / max(wall_s, 1e-9)
            yield (
                f"  {kind}: {samples * per_s:,.0f} samples/s, {seconds * per_s:,.0f} s of audio/s, "
                f"{size * per_s / 1e6:,.1f} MB/s ({taken} steps)"
            )


if __name__ == "__main__":
    sys.exit(main())
