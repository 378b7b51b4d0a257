"""Shards: tars that anybody opens, whose bytes follow from their content, with a true index."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DamageError
from schemas.shard import (
    Member,
    Placed,
    ShardWriter,
    crc32c,
    durations_suffix,
    flac_suffix,
    npy,
    read_npy,
    split_sample,
    units_suffix,
)

Sample = tuple[str, list[Member]]


def sample(number: int, size: int = 700) -> Sample:
    """A sample with the members that real ones have."""
    codes = np.arange(5, dtype=np.int16).reshape(1, 5) + number
    return f"{number:024x}-0", [
        Member("json", json.dumps({"id": number, "text": "中"}).encode()),
        Member(flac_suffix(0, "user"), b"fLaC" + bytes([number]) * size),
        Member(flac_suffix(1, "assistant"), b"fLaC" + bytes([number + 1]) * (size + 512)),
        Member(units_suffix(1, "assistant", "mfcc8"), npy(codes)),
        Member(durations_suffix(1, "assistant", "mfcc8"), npy(np.ones(5, np.int32))),
    ]


SAMPLES = [sample(1), sample(2, 0), sample(3, 508), sample(4, 512)]


def write(path: Path, samples: list[Sample]) -> tuple[list[Placed], str]:
    with ShardWriter(path) as writer:
        placed = [writer.add(key, members) for key, members in samples]
        sha256 = writer.finish()
        assert writer.bytes == path.stat().st_size
    return placed, sha256


def test_the_names_of_members_are_the_contract_with_readers() -> None:
    assert [member.suffix for member in SAMPLES[0][1]] == [
        "json",
        "00.user.flac",
        "01.assistant.flac",
        "01.assistant.mfcc8.npy",
        "01.assistant.mfcc8.durations.npy",
    ]


def test_tarfile_reads_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "x.tar", SAMPLES)
    with tarfile.open(tmp_path / "x.tar") as tar:
        found = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
        assert {info.mtime for info in tar} == {0}
        assert {(info.uid, info.gid, info.uname, info.gname, info.mode) for info in tar} == {
            (0, 0, "", "", 0o644)
        }
    expected = [(f"{key}.{m.suffix}", m.data) for key, members in SAMPLES for m in members]
    assert found == expected
    assert (tmp_path / "x.tar").read_bytes()[257:263] == b"ustar\0"


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # webdataset leaves its file to the collector
def test_webdataset_reads_the_same_samples(tmp_path: Path) -> None:
    write(tmp_path / "x.tar", SAMPLES)
    found = list(webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False))
    assert [item["__key__"] for item in found] == [key for key, _ in SAMPLES]
    for item, (_, members) in zip(found, SAMPLES, strict=True):
        content = {name: data for name, data in item.items() if not name.startswith("__")}
        assert content == {member.suffix: member.data for member in members}


def test_equal_samples_give_equal_bytes_whatever_the_file_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = write(tmp_path / "x.tar", SAMPLES)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setenv("USER", "somebody")
    _, again = write(tmp_path / "another name.tar", SAMPLES)
    assert first == again
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "another name.tar").read_bytes()
    assert first == hashlib.sha256((tmp_path / "x.tar").read_bytes()).hexdigest()


def test_other_samples_and_another_order_give_other_bytes(tmp_path: Path) -> None:
    written = [SAMPLES, SAMPLES[::-1], SAMPLES[:3], [sample(1), sample(2, 1), *SAMPLES[2:]]]
    assert len({write(tmp_path / "x.tar", samples)[1] for samples in written}) == 4


def test_the_index_says_where_each_sample_stands(tmp_path: Path) -> None:
    placed, _ = write(tmp_path / "x.tar", SAMPLES)
    data = (tmp_path / "x.tar").read_bytes()
    end = 0
    for place, (key, members) in zip(placed, SAMPLES, strict=True):
        assert (place.key, place.offset) == (key, end)
        piece = data[place.offset : place.offset + place.length]
        assert crc32c(piece) == place.crc32c
        for (suffix, offset, size), member in zip(place.members, members, strict=True):
            assert (suffix, data[offset : offset + size]) == (member.suffix, member.data)
        assert split_sample(piece, key) == {member.suffix: member.data for member in members}
        end = place.offset + place.length
    assert data[end:] == b"\0" * 1024


def test_the_checksum_is_castagnolis() -> None:
    """https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4"""
    assert crc32c(b"\0" * 32) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


@given(st.dictionaries(st.text("abc.0", min_size=1, max_size=12), st.binary(max_size=1500)))
def test_a_sample_of_any_members_comes_back(tmp_path: Path, content: dict[str, bytes]) -> None:
    write(tmp_path / "x.tar", [("k-0", [Member(*item) for item in content.items()])])
    data = (tmp_path / "x.tar").read_bytes()
    assert split_sample(data[:-1024], "k-0") == content


def test_a_range_that_is_no_sample_is_damage(tmp_path: Path) -> None:
    placed, _ = write(tmp_path / "x.tar", SAMPLES)
    data = (tmp_path / "x.tar").read_bytes()[: placed[0].length]
    spoiled = bytes([data[0] ^ 1]) + data[1:]
    for broken in (spoiled, data[100:], b"no tar at all" * 50):
        with pytest.raises(DamageError, match="not a tar member"):
            split_sample(broken, "k-0")


def test_a_folder_in_a_shard_is_damage() -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("k-0.json")
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    with pytest.raises(DamageError, match=r"k-0\.json: wanted a plain file"):
        split_sample(sink.getvalue(), "k-0")


@pytest.mark.parametrize(
    "values",
    [np.arange(6, dtype=np.int16).reshape(1, 6), np.zeros(0, np.int32), np.float32([[1.5], [-2]])],
)
def test_arrays_come_back_with_type_and_shape(values: np.ndarray) -> None:
    found = read_npy(npy(values))
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(found, values)
    assert npy(values)[:8] == b"\x93NUMPY\x01\x00"


def test_arrays_of_objects_are_neither_written_nor_read() -> None:
    objects = np.array([{"a": 1}, None], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        npy(objects)
    sink = io.BytesIO()
    np.save(sink, objects, allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_npy(sink.getvalue())
