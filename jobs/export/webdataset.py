"""The shards as they are, without the rest of the corpus: a copy that needs nothing of ours."""

import hashlib
from pathlib import Path

from jobs.export.corpus import Corpus
from schemas.errors import DamageError
from schemas.snapshot import ShardEntry
from schemas.store import Store

FOR_WHOM = "webdataset and all that reads its tars"
OPENED_BY = """\
from glob import glob
import webdataset
webdataset.WebDataset(sorted(glob("FOLDER/train/*.tar")), shardshuffle=False)"""
PIECE_BYTES = 16 << 20
LOST = (
    "the index and its checksums, so that a tar cut between two samples goes unnoticed; rejected "
    "and failed rows; the manifest"
)


def write(corpus: Corpus, folder: Path) -> int:
    """SPLIT/NAME.tar, byte for byte. The corpus's own shards can be opened in the same way."""
    count = 0
    for split in corpus.splits:
        (folder / split).mkdir()
        for shard in corpus.shards(split):
            _copy(corpus.store, shard, folder / split / shard["name"])
            count += shard["samples"]
    return count


def _copy(store: Store, shard: ShardEntry, to: Path) -> None:
    path, found = f"shards/{shard['name']}", hashlib.sha256()
    with open(to, "wb") as stream:
        for start in range(0, shard["bytes"], PIECE_BYTES):
            piece = store.get_range(path, start, min(PIECE_BYTES, shard["bytes"] - start))
            found.update(piece)
            stream.write(piece)
    if found.hexdigest() != shard["sha256"]:
        raise DamageError(
            f"{store.uri}/{path}: its sha256 is not the manifest's; run the build again to mend it"
        )
