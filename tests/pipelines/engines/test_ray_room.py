"""What a Ray cluster has room for, and how it says that it has not, in bounded time."""

import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import ray_cluster
from pipelines.engines.clocks import Timeouts
from pipelines.engines.pieces import Piece, Pool
from pipelines.engines.ray_cluster import RayOptions, Size, check_room, pool_sizes
from pipelines.engines.ray_engine import RayEngine
from schemas.errors import BackendError
from tests.jobs.faults import FaultySpeech
from tests.jobs.small import ROOT, Quiet, build_with, ended, rows, voxmill, write_job
from tests.pipelines.engines.builds import ON_CLUSTER, arguments, command, until
from transforms.step import Resources

MB = ray_cluster.MB
TEXT = Piece("text", "x", Resources(cpus=1, memory_mb=100))
SPEECH = Piece("speech", None, Resources(cpus=1, gpus=1, memory_mb=100))


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two machines: 4 CPUs; 4 CPUs and 2 GPUs."""
    found: list[dict[str, Any]] = [
        {"Resources": {"CPU": 4.0, "memory": 1000.0 * MB}},
        {"Resources": {"CPU": 4.0, "GPU": 2.0, "memory": 1000.0 * MB}},
    ]
    monkeypatch.setattr(ray_cluster, "_nodes", lambda: found)
    monkeypatch.setattr(ray_cluster.ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0})
    return found


def test_one_kind_of_worker_takes_the_whole_cluster(nodes: Any) -> None:
    assert pool_sizes([TEXT], RayOptions(), 100) == [Size(1, 8, 8)]
    assert pool_sizes([TEXT], RayOptions(), 3) == [Size(1, 3, 3)]
    assert pool_sizes([TEXT], RayOptions(max_workers=2), 100) == [Size(1, 2, 2)]


def test_pools_share_the_cluster_side_by_side(nodes: Any) -> None:
    assert pool_sizes([TEXT, SPEECH], RayOptions(), 100) == [Size(1, 6, 6), Size(1, 2, 2)]


def test_a_bound_above_the_cluster_is_left_to_its_autoscaler(nodes: Any) -> None:
    assert pool_sizes([TEXT], RayOptions(max_workers=64), 100) == [Size(1, 8, 64)]


def test_pools_that_do_not_fit_at_once_run_one_after_the_other(nodes: Any) -> None:
    both = Piece("more speech", None, Resources(cpus=1, gpus=2, memory_mb=100))
    assert pool_sizes([SPEECH, both], RayOptions(), 100) is None


def test_a_worker_must_fit_on_one_machine(nodes: Any) -> None:
    check_room([TEXT, SPEECH], RayOptions())
    for needs in (Resources(cpus=8), Resources(gpus=3), Resources(memory_mb=1001)):
        with pytest.raises(BackendError, match="room for 0"):
            check_room([Piece("big", None, needs)], RayOptions())
    with pytest.raises(BackendError, match=r"9 workers for text .* room for 8"):
        check_room([TEXT], RayOptions(min_workers=9))


def test_machines_on_their_way_are_waited_for(
    nodes: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Piece("big", None, Resources(cpus=16))
    more = {"Resources": {"CPU": 16.0, "memory": 1000.0 * MB}}
    asked: list[list[dict[str, float]]] = []
    monkeypatch.setattr(ray_cluster, "_ask_for", asked.append)
    monkeypatch.setattr(ray_cluster.time, "sleep", lambda seconds: nodes.append(more))
    check_room([one], RayOptions(address="auto", wait_s=5))
    assert asked == [[{"CPU": 16, "GPU": 0, "memory": 500.0 * MB}], []]


@pytest.mark.slow
def test_more_gpus_than_the_cluster_has_are_told_before_anything_is_computed(
    cluster: Any, output: Path
) -> None:
    options = ("--set", "engine.ray.pools.synthesize.gpus=4", "--set", "engine.ray.wait_s=1")
    done = voxmill(*arguments(output, *ON_CLUSTER, "--address", cluster.address, *options))
    assert done.code == 2
    assert "1 worker for synthesize with 1 CPUs, 4 GPUs" in done.err
    assert "2 node(s) with 2 CPUs, 0 GPUs" in done.err
    assert not (output / "work" / "memo").exists()


@pytest.mark.slow
def test_an_address_where_something_else_listens_is_given_up_in_time(output: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        options = ("--engine", "ray", "--address", address, "--set", "engine.ray.wait_s=2")
        done = subprocess.run(
            command(output, *options), cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert f"Ray cluster at {address}: tried for 2 s" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("chained", [False, True], ids=["one pool", "pools of Ray Data"])
def test_a_full_cluster_is_waited_for_with_a_word_and_used_when_it_gets_free(
    cluster: Any, output: Path, chained: bool
) -> None:
    """Another's actors hold both CPUs, until the build has said that it waits for them."""
    import ray

    holders = [ray.remote(num_cpus=1)(_Holder).remote() for _ in range(2)]
    ray.get([holder.here.remote() for holder in holders])
    listener = Quiet()

    def free() -> None:
        until(lambda: any("no worker has got a place" in note for note in listener.notes))
        for holder in holders:
            ray.kill(holder)

    pools = {"synthesize": Pool(cpus=0.5)} if chained else {}
    options = RayOptions(address=cluster.address, wait_s=2.0, max_workers=1, pools=pools)
    job = write_job(output.parent / "job", rows(3))
    letting = threading.Thread(target=free)
    letting.start()
    try:
        build_with(
            job,
            output,
            FaultySpeech(),
            listener=listener,
            start=lambda work: RayEngine(work, options, Timeouts(), listener),
        )
    finally:
        letting.join()
    assert {place.state for place in ended(output).values()} == {"accepted"}
    note = next(note for note in listener.notes if "no worker has got a place" in note)
    assert "The cluster has 2 CPUs, 0 GPUs" in note
    assert "free are 0 CPUs" in note


class _Holder:
    """Somebody else's work on the cluster."""

    def here(self) -> None:
        """It is up."""
