"""One reader's epochs with FLAC decode in workers. Runs in the environment of the peers.

    python -m benchmarks.peer_loop READER CORPUS FOLDER WORKERS EPOCHS

All readers shuffle, decode in workers and hand over padded batches by the same collation. Prints
one JSON line: samples/s and CPU time of each epoch, the first of which starts the workers, and a
checksum.
"""

import io
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader

from benchmarks.cpu_time import cpu_seconds
from benchmarks.peer_data import FIELDS
from benchmarks.peer_streaming import import_streaming
from trainers.collate import Pad, collate, to_torch
from trainers.sample import Sample

BATCH = 16
PADS = {name: Pad(value=0) for name in ("user", "assistant", "codes", "durations")}
WDS_NAMES = (
    "json",
    "00.user.flac",
    "01.assistant.flac",
    "01.assistant.made100.npy",
    "01.assistant.made100.durations.npy",
)
Example = dict[str, Any]
Tensors = dict[str, torch.Tensor]


def plain_example(fields: Mapping[str, bytes]) -> Example:
    """A sample decoded as anybody would: json, soundfile, numpy."""
    return {
        "texts": np.array(len(json.loads(fields["json"])["turns"])),
        "user": soundfile.read(io.BytesIO(fields["user"]), dtype="int16")[0],
        "assistant": soundfile.read(io.BytesIO(fields["assistant"]), dtype="int16")[0],
        "codes": np.load(io.BytesIO(fields["codes"])),
        "durations": np.load(io.BytesIO(fields["durations"])),
    }


def our_example(sample: Sample) -> Example:
    """A sample decoded by the methods that trainers call."""
    user, assistant = sample.turns
    return {
        "texts": np.array(len(sample.turns)),
        "user": user.audio().samples,
        "assistant": assistant.audio().samples,
        "codes": assistant.codes(),
        "durations": assistant.durations(),
    }


def batch_of(examples: Iterable[Example]) -> Tensors:
    """Padded tensors, the same for every reader."""
    return to_torch(collate(list(examples), PADS))


def our_batch(samples: list[Sample]) -> Tensors:
    """A batch by our methods."""
    return batch_of(map(our_example, samples))


def our_batch_plainly(samples: list[Sample]) -> Tensors:
    """A batch by our reader and the decoders of the others."""
    return batch_of(
        plain_example(dict(zip(FIELDS, sample.members.values(), strict=True))) for sample in samples
    )


def ours(
    corpus: Path, workers: int, transform: Callable[[list[Sample]], Tensors]
) -> Iterable[Tensors]:
    """Our reader."""
    from trainers.stream import StreamDataset

    dataset = StreamDataset(
        str(corpus), batch_size=BATCH, epochs=1, remainder="pad", transform=transform
    )
    return DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="spawn",
        persistent_workers=True,
    )


def webdataset(corpus: Path, workers: int) -> Iterable[Tensors]:
    """webdataset on the same tars."""
    import webdataset as wds

    def example(sample: Mapping[str, Any]) -> Example:
        names = zip(FIELDS, WDS_NAMES, strict=True)
        return plain_example({field: sample[name] for field, name in names})

    shards = [str(path) for path in sorted((corpus / "shards").glob("*.tar"))]
    dataset = wds.WebDataset(shards, shardshuffle=len(shards), seed=0).shuffle(256).map(example)
    loader: Iterable[Tensors] = wds.WebLoader(
        dataset.batched(BATCH, collation_fn=batch_of),
        batch_size=None,
        num_workers=workers,
        persistent_workers=True,
    )
    return loader


def litdata(folder: Path, workers: int) -> Iterable[Tensors]:
    """litdata on its chunks."""
    import litdata as lit

    class Decoded(lit.StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, index: object) -> Example:
            return plain_example(super().__getitem__(index))

    dataset = Decoded(str(folder / "litdata"), shuffle=True, seed=0)
    loader: Iterable[Tensors] = lit.StreamingDataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=workers,
        collate_fn=batch_of,
        persistent_workers=True,
    )
    return loader


def streaming(folder: Path, workers: int) -> Iterable[Tensors]:
    """mosaicml-streaming on its shards."""
    base = import_streaming().StreamingDataset

    class Decoded(base):  # type: ignore[misc, valid-type]
        def __getitem__(self, index: object) -> Example:
            return plain_example(super().__getitem__(index))

    dataset = Decoded(local=str(folder / "mds"), shuffle=True, batch_size=BATCH, shuffle_seed=0)
    return DataLoader(
        dataset,
        batch_size=BATCH,
        num_workers=workers,
        collate_fn=batch_of,
        persistent_workers=True,
    )


def loader_of(name: str, corpus: Path, folder: Path, workers: int) -> Iterable[Tensors]:
    """The loader of a reader."""
    readers: dict[str, Callable[[], Iterable[Tensors]]] = {
        "voxmill": lambda: ours(corpus, workers, our_batch),
        "voxmill_plain": lambda: ours(corpus, workers, our_batch_plainly),
        "webdataset": lambda: webdataset(corpus, workers),
        "litdata": lambda: litdata(folder, workers),
        "streaming": lambda: streaming(folder, workers),
    }
    return readers[name]()


def main(name: str, corpus: Path, folder: Path, workers: int, epochs: int) -> None:
    """Run the epochs and print their rates."""
    loader = loader_of(name, corpus, folder, workers)
    rates: list[float] = []
    cpu_ms: list[float] = []
    checksum, count = 0, 0
    for _ in range(epochs):
        count, checksum = 0, 0
        began, spent_s = time.perf_counter(), cpu_seconds()
        for batch in loader:
            count += len(batch["texts"])
            for audio, length in zip(batch["user"], batch["user_lengths"], strict=True):
                # A sum over samples: equal however they are shuffled.
                checksum += zlib.crc32(audio[: min(int(length), 256)].numpy().tobytes())
        rates.append(count / (time.perf_counter() - began))
        cpu_ms.append(1000 * (cpu_seconds() - spent_s) / count)
    found = {"rates": rates, "cpu_ms": cpu_ms, "samples": count, "checksum": checksum}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
