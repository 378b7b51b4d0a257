"""Picking rows by their own ids."""

import pyarrow as pa
import pytest

from transforms.pick import Pick


def codes(pick: Pick, *ids: str) -> list[str]:
    with pick.open({}) as run:
        batch = pa.RecordBatch.from_pylist([{"source_id": own} for own in ids], schema=pick.reads)
        return [found[0]["code"] if found else "" for found in run(batch).column(0).to_pylist()]


@pytest.mark.parametrize(
    ("keep", "leave", "wanted"),
    [
        ((), (), ["", "", "", ""]),
        (("vicuna",), (), ["", "", "not_picked", "not_picked"]),
        (("vicuna",), ("vicuna/math",), ["left_out", "", "not_picked", "not_picked"]),
        ((), ("vicuna/mat", "koala"), ["", "", "left_out", ""]),
    ],
)
def test_an_id_is_a_path_and_its_parts_are_whole(
    keep: tuple[str, ...], leave: tuple[str, ...], wanted: list[str]
) -> None:
    pick = Pick(keep=keep, leave=leave)
    assert codes(pick, "vicuna/math/3", "vicuna/generic/1", "koala", "") == wanted
