"""One corpus from every engine: the same identity, the same bytes of every shard.

Local workers are compared in tests/pipelines/test_promises.py.
"""

from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import ray_engine
from pipelines.engines.ray_chain import chained
from schemas.store import StoreAddress
from tests.pipelines.engines.builds import ON_CLUSTER, Corpus, build_in

pytestmark = pytest.mark.slow


def test_ray_on_two_nodes_changes_no_byte(cluster: Any, reference: Corpus, output: Path) -> None:
    built = build_in(output, *ON_CLUSTER)
    assert built.published == reference.published
    assert built.line["computed_rows"] == reference.line["computed_rows"]
    assert not list((output / "work" / "builds").rglob("*.pack"))


def test_ray_pools_of_different_sizes_change_no_byte_and_count_each_row_once(
    cluster: Any, reference: Corpus, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Data's way: a pool each for texts, speech, and what follows, side by side."""
    chains: list[int] = []

    def spied(rows: Any, pieces: Any, *more: Any) -> Any:
        chains.append(len(pieces))
        return chained(rows, pieces, *more)

    monkeypatch.setattr(ray_engine, "chained", spied)
    small = ("rewrite", "respond", "synthesize")
    pools = [word for step in small for word in ("--set", f"engine.ray.pools.{step}.cpus=0.5")]
    more = ("--set", "engine.ray.pools.synthesize.max_workers=1")
    built = build_in(output, *ON_CLUSTER, *pools, *more)
    assert built.published == reference.published
    assert built.line["computed_rows"] == reference.line["computed_rows"]
    assert built.line["reused_rows"] == reference.line["reused_rows"]
    assert chains == [3]  # the passes after it find in the memo what the smaller pools made


def test_ray_builds_into_a_bucket_what_it_builds_into_a_folder(
    cluster: Any, reference: Corpus, s3: StoreAddress
) -> None:
    assert build_in(s3, *ON_CLUSTER).published == reference.published
