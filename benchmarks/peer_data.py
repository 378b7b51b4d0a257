"""The same samples in the format of each reader. Runs in the environment of the peers.

    python -m benchmarks.peer_data CORPUS FOLDER

CORPUS is a Voxmill snapshot, which ours and webdataset read as it is.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.peer_streaming import import_streaming
from trainers.corpus import open_snapshot
from trainers.sample import Sample

CHUNK_BYTES = 64 << 20
FIELDS = ("json", "user", "assistant", "codes", "durations")


def fields_of(sample: Sample) -> dict[str, bytes]:
    """The members of a sample of one pair, under names that every format allows."""
    ordered = list(sample.members.values())
    return dict(zip(FIELDS, ordered, strict=True))


def write_mds(corpus: Path, folder: Path) -> None:
    """The samples as MDS shards, which mosaicml-streaming reads."""
    columns = {"key": "str", **dict.fromkeys(FIELDS, "bytes")}
    with import_streaming().MDSWriter(
        out=str(folder), columns=columns, size_limit=CHUNK_BYTES
    ) as writer:
        for sample in open_snapshot(str(corpus)).samples():
            writer.write({"key": sample.key, **fields_of(sample)})


def write_litdata(corpus: Path, folder: Path) -> None:
    """The samples as chunks of litdata."""
    import litdata

    litdata.optimize(
        fn=partial(_items, corpus),
        inputs=[0],
        output_dir=str(folder),
        chunk_bytes=CHUNK_BYTES,
        num_workers=1,
    )


def _items(corpus: Path, _: int) -> Iterator[dict[str, object]]:
    for sample in open_snapshot(str(corpus)).samples():
        yield {"key": sample.key, **fields_of(sample)}


if __name__ == "__main__":
    write_mds(Path(sys.argv[1]), Path(sys.argv[2]) / "mds")
    write_litdata(Path(sys.argv[1]), Path(sys.argv[2]) / "litdata")
