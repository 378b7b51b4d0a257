"""Bad news about engines: unknown, not installed, unreachable, too small. Each in bounded time."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.small import voxmill, write_job
from tests.servers import free_port

SHORT = ("--set", "engine.ray.wait_s=1")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_job(tmp_path_factory.mktemp("job"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "rey"], ["'engine.name'", "'rey'", "did you mean 'ray'?", "local, ray"]),
        (["--engine", "ray", "--workers", "0"], ["engine.workers: 0", "--engine local"]),
        (
            ["--engine", "ray", "--address", "ray://h:10001"],
            ["'ray://h:10001'", "HOST:PORT", "ray job submit"],
        ),
        (["--address", "h:6379"], ["--address h:6379", "engine is local", "--engine ray"]),
        (
            ["--engine", "ray", "--workers", "2", "--set", "engine.ray.min_workers=3"],
            ["engine.ray.min_workers is 3", "at most 2"],
        ),
        (
            ["--engine", "ray", "--set", "engine.ray.pools.synthesise.gpus=1"],
            ["no step 'synthesise'", "did you mean 'synthesize'?"],
        ),
        (
            ["--engine", "ray", "--set", "engine.ray.pools.synthesize.gpu=1"],
            ["'engine.ray.pools.synthesize.gpu'", "did you mean 'gpus'?"],
        ),
    ],
    ids=lambda value: " ".join(value[1:4]) if value[0].startswith("-") else "",
)
def test_an_engine_that_cannot_be_meant_is_refused_with_the_cure(
    job: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    done = voxmill("build", job, "--output", tmp_path / "out", *arguments)
    assert done.code == 2
    assert done.err.startswith("voxmill: error: ") or "voxmill: error: " in done.err
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("beam", "apache_beam")])
def test_an_engine_that_is_not_installed_names_its_extra_before_anything_is_planned(
    engine: str, package: str, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == package else real(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    done = voxmill("build", job, "--output", tmp_path / "out", "--engine", engine)
    assert done.code == 2
    assert f"the engine {engine} is not installed" in done.err
    assert f"'.[{engine}]'" in done.err
    assert not (tmp_path / "out" / "inputs").exists()


def test_a_cluster_where_nobody_listens_is_tried_for_so_long_and_told(
    job: Path, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    options = ("--engine", "ray", "--address", address, *SHORT)
    done = voxmill("build", job, "--output", tmp_path / "out", *options)
    assert done.code == 2
    for word in (address, "tried for 1 s", "Connection refused", "ray start --head"):
        assert word in done.err
