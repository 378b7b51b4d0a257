"""Plain webdataset on our shards: the documented code works, and loses what is documented."""

import gc
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.made_corpus import UNIT_SET, make_corpus
from schemas.errors import DamageError, VoxmillError
from tests.trainers.test_flac import encoded, noise
from trainers.corpus import open_snapshot
from trainers.reader import open_reader

webdataset = pytest.importorskip("webdataset", reason="pip install -c constraints.txt '.[dev]'")
# webdataset leaves its shards to the garbage collector, and the page its two JSON files.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
PAGE = Path("docs/webdataset.md")
COUNTS = (6, 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_corpus(tmp_path, COUNTS, payload=lambda number: encoded(noise(800 + number, number)))
    return tmp_path


def read_as_documented(folder: Path, shuffle: bool = True) -> list[dict[str, Any]]:
    """What the page's code yields on a corpus."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    code = blocks[0].replace('"corpus"', repr(str(folder))).replace('"mfcc100"', repr(UNIT_SET))
    assert str(folder) in code
    assert UNIT_SET in code
    if not shuffle:
        code = code.replace("shardshuffle=len(shards)", "shardshuffle=False").replace(
            ".shuffle(1000)", ""
        )
    code = code.replace("    ...\n", "    found.append(example)\n")
    # The manifest of a made corpus has no pointer; a build writes one.
    pointer = '{"snapshot": "snapshots/v000001.json"}'
    (folder / "latest.json").write_text(pointer, encoding="ascii")
    found: list[dict[str, Any]] = []
    exec(compile(code, str(PAGE), "exec"), {"found": found})
    gc.collect()  # while the warnings are ignored
    return found


def test_the_documented_code_yields_what_our_reader_does(folder: Path) -> None:
    found = {example["key"]: example for example in read_as_documented(folder)}
    ours = list(open_snapshot(str(folder)).samples())
    assert sorted(found) == sorted(sample.key for sample in ours)
    for sample in ours:
        example = found[sample.key]
        user, assistant = sample.turns
        np.testing.assert_array_equal(example["00.user"], user.audio().samples)
        np.testing.assert_array_equal(example["01.assistant"], assistant.audio().samples)
        raw = np.repeat(assistant.codes(), assistant.durations(), axis=1)
        np.testing.assert_array_equal(example["01.assistant.units"], raw)


def cut_between_samples(shard: Path, folder: Path) -> None:
    """The tar as far as its fourth sample."""
    entry = next(e for e in open_snapshot(str(folder)).shards if e["name"] == shard.name)
    from trainers.index import IndexSlices

    rows = IndexSlices(open_snapshot(str(folder)).store).rows(entry)
    shard.write_bytes(shard.read_bytes()[: int(rows["offset"][4])])


def damage_a_header(shard: Path, folder: Path) -> None:
    """One bit of the header of the fourth sample."""
    from trainers.index import IndexSlices

    entry = next(e for e in open_snapshot(str(folder)).shards if e["name"] == shard.name)
    rows = IndexSlices(open_snapshot(str(folder)).store).rows(entry)
    data = bytearray(shard.read_bytes())
    data[int(rows["offset"][4]) + 3] ^= 1
    shard.write_bytes(data)


def change_a_text(shard: Path, folder: Path) -> None:
    """A letter of a text, in KEY.json."""
    data = shard.read_bytes()
    assert data.count(b"Something, then.") > 1
    shard.write_bytes(data.replace(b"Something, then.", b"Something, than.", 1))


@pytest.mark.parametrize(
    ("damage", "fewer"), [(cut_between_samples, 2), (damage_a_header, None), (change_a_text, 0)]
)
def test_damage_that_webdataset_does_not_report_is_an_error_here(
    folder: Path, damage: Callable[[Path, Path], None], fewer: int | None
) -> None:
    shard = folder / "shards" / open_snapshot(str(folder)).shards[0]["name"]
    damage(shard, folder)
    counts = Counter(example["key"] for example in read_as_documented(folder, shuffle=False))
    if fewer is None:
        assert len(counts) < sum(COUNTS)  # how many go depends on the header's bit
    else:
        assert len(counts) == sum(COUNTS) - fewer
    with pytest.raises(VoxmillError) as caught:
        list(open_reader(str(folder), batch_size=1))
    assert isinstance(caught.value, DamageError)
