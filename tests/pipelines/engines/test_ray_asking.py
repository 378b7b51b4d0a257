"""Models asked on Ray: by a pool of their own, many partitions at once, nothing twice."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import ray_engine
from pipelines.engines.ray_chain import chained
from tests.chat_server import ChatServer, serving
from tests.jobs.chatting import asked, chat_job, identity
from tests.jobs.small import build_here, rows, voxmill
from tests.pipelines.engines.builds import ON_CLUSTER

pytestmark = pytest.mark.slow


def test_answers_are_spoken_while_others_are_asked_for_and_no_request_is_sent_twice(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains: list[tuple[list[str], int]] = []

    def spied(told: Any, pieces: Any, sizes: Any, post: Any, at_once: int) -> Any:
        chains.append(([piece.name for piece in pieces], at_once))
        return chained(told, pieces, sizes, post, at_once)

    monkeypatch.setattr(ray_engine, "chained", spied)
    with serving(ChatServer()) as server:
        job = chat_job(tmp_path, server, rows(40), endpoint={"max_in_flight": 8})
        here = build_here(job, tmp_path / "here")
        wanted = identity(here)
        count = asked(server)
        there = voxmill("build", job, "--output", tmp_path / "there", "--json", *ON_CLUSTER)
        assert identity(there) == wanted
        assert asked(server) == count > 0
        assert there.last_json["computed_rows"] == here.last_json["computed_rows"]
    ((pieces, at_once),) = chains
    assert pieces[0] == "rewrite+respond"
    assert pieces[1].startswith("synthesize")
    assert at_once > 1
