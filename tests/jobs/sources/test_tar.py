"""Tars of others: every row or a fault that names file and member, and nothing on the disk."""

import io
import tarfile
from pathlib import Path

import pytest
import webdataset

from jobs.sources.tar import TarFault, TarMember, walk
from tests.jobs.sources.heard import (
    CLIP,
    REPLY,
    audios,
    message,
    pair,
    read,
    samples_tar,
    tar_bytes,
    write,
)

THREE = {f"s{n}": pair(n) for n in range(3)}


def walked(data: bytes) -> list[TarMember | TarFault]:
    return list(walk(io.BufferedReader(io.BytesIO(data)), len(data)))  # type: ignore[arg-type]


def faults(data: bytes) -> list[str]:
    return [item.message for item in walked(data) if isinstance(item, TarFault)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_sound_tar_gives_what_tarfile_gives(form: int) -> None:
    members = [("a.txt", b"x" * 1000), ("b" * 90 + "/" + "c" * 60 + ".flac", b""), ("d.e", b"1")]
    if form == tarfile.PAX_FORMAT:
        members.append(("é/ü.txt", "é".encode()))
    if form != tarfile.USTAR_FORMAT:
        members.append(("c" * 300 + ".flac", b"2"))
    found = walked(tar_bytes(members, form))
    assert [(item.name, item.data) for item in found if isinstance(item, TarMember)] == members
    assert len(found) == len(members)


def test_tars_that_were_joined_by_cat_are_read_to_the_end() -> None:
    data = tar_bytes([("a.x", b"1")]) + tar_bytes([("b.x", b"2")])
    assert [item.name for item in walked(data) if isinstance(item, TarMember)] == ["a.x", "b.x"]
    assert faults(data) == []


def test_a_flipped_header_byte_costs_its_member_and_no_other(tmp_path: Path) -> None:
    data = bytearray(samples_tar(THREE))
    at = data.index(b"s1.00.user.wav")
    data[at] ^= 1
    rows = read(write(tmp_path / "a.tar", bytes(data)), "webdataset")
    ends = [(row.origin, row.error is None) for row in rows]
    assert ("a.tar:s0", True) in ends
    assert ("a.tar:s2", True) in ends
    assert "a damaged header after member 's1.json'" in " ".join(
        message(row) for row in rows if row.error
    )


def test_a_tar_cut_at_a_member_boundary_is_said(tmp_path: Path) -> None:
    """webdataset and tarfile take this for the end, and lose what came after without a word."""
    whole = samples_tar(THREE)
    cut = whole[: whole.index(b"s2.json")]
    rows = read(write(tmp_path / "a.tar", cut), "webdataset")
    assert {row.origin: row.error is None for row in rows} == {
        "a.tar:s0": True,
        "a.tar:s1": True,
        "a.tar": False,
    }
    (fault,) = (message(row) for row in rows if row.error)
    assert "ends after member 's1.01.assistant.flac' without its end mark" in fault


def test_a_tar_cut_inside_a_member_names_it(tmp_path: Path) -> None:
    whole = samples_tar(THREE)
    cut = whole[: whole.index(b"s2.00.user.wav") + 2000]
    rows = read(write(tmp_path / "a.tar", cut), "webdataset")
    assert "cut in the middle of member 's2.00.user.wav'" in " ".join(
        message(row) for row in rows if row.error
    )
    assert sum(row.error is None for row in rows) == 2


@pytest.mark.parametrize(
    "name",
    [
        "../../escape.wav",
        "/etc/absolute.wav",
        "a/../../b.wav",
        "back\\slash.wav",
        "no-extension",
        ".hidden",
        "line\nbreak.wav",
        "bidi\u202egnp.wav",
    ],
)
def test_an_odd_name_is_a_failed_row_and_touches_no_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in" / "deep"
    members = [(f"s0.{suffix}", data) for suffix, data in pair().items()]
    data = tar_bytes([*members, (name, CLIP)], tarfile.PAX_FORMAT)
    write(folder / "a.tar", data)
    monkeypatch.chdir(folder)
    rows = read(folder / "a.tar", "webdataset")
    assert [row.error is None for row in rows] == [False, True]
    assert 'member "' in message(rows[0])
    assert "KEY.EXTENSION without '..'" in message(rows[0])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "deep", "in"]


def test_links_and_devices_are_failed_rows(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("evil.wav")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        for suffix, data in pair().items():
            info = tarfile.TarInfo(f"s.{suffix}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    rows = read(write(tmp_path / "a.tar", sink.getvalue()), "webdataset")
    assert [row.error is None for row in rows] == [False, False, False, True]
    assert "member 'evil.wav' is no plain file" in message(rows[0])


def test_an_empty_tar_and_a_member_of_no_bytes_are_failed_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", b"")
    silent = {**pair(), "00.user.wav": b""}
    write(tmp_path / "b.tar", samples_tar({"good": pair(), "silent": silent}))
    rows = read(tmp_path, "webdataset")
    assert [(row.origin, row.error is None) for row in rows] == [
        ("a.tar", False),
        ("b.tar:good", True),
        ("b.tar:silent", False),
    ]
    assert "the tar is empty (0 bytes)" in message(rows[0])
    assert "member 00.user.wav: audio of 0 bytes" in message(rows[2])


def test_what_webdataset_writes_is_read_sample_by_sample(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as sink:
        for key, files in THREE.items():
            sink.write({"__key__": f"dir/{key}", **files})
    rows = read(tmp_path, "webdataset")
    assert [row.origin for row in rows] == [f"a.tar:dir/s{n}" for n in range(3)]
    assert all(audios(row) == [CLIP, REPLY] for row in rows)
