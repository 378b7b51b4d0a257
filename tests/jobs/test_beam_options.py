"""What a user tells Beam, and what is refused before anything is spent."""

import socket
from pathlib import Path

import pytest

from pipelines.engines.beam_options import options_from, unknown_flags
from pipelines.engines.beam_reach import check_listening
from schemas.errors import SettingsError
from tests.jobs.small import rows, voxmill, write_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_job(tmp_path_factory.mktemp("job"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runner=FlinkRuner"], ["no runner 'FlinkRuner'", "did you mean FlinkRunner?"]),
        (["--runner=Nonsense"], ["no runner 'Nonsense'", "DataflowRunner, DirectRunner"]),
        (["--runner=DaskRunner"], ["DaskRunner is refused", "loses rows", "--engine ray"]),
        (
            ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"],
            ["is refused", "loses rows"],
        ),
        (["--runner=DataflowRunner"], ["DataflowRunner", "do not see this", "gs://BUCKET/PREFIX"]),
        (
            ["--runner=no.such.module.Runner"],
            ["no.such.module.Runner cannot be loaded", "No module named 'no'"],
        ),
        (["--direct_num_workers=two"], ["--direct_num_workers", "'two'", "-- --help"]),
    ],
    ids=lambda value: value[0],
)
def test_a_runner_that_cannot_be_meant_is_refused_with_the_cure(
    job: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    done = voxmill("build", job, "--output", tmp_path / "out", "--engine", "beam", "--", *arguments)
    assert done.code == 2
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out" / "inputs").exists()


def test_words_for_beam_are_refused_by_another_engine(job: Path, tmp_path: Path) -> None:
    done = voxmill("build", job, "--output", tmp_path / "out", "--", "--runner=FlinkRunner")
    assert done.code == 2
    assert "-- --runner=FlinkRunner" in done.err
    assert "the engine is local; give --engine beam" in done.err


def test_beam_of_this_machine_has_the_workers_of_the_job_unless_told_otherwise() -> None:
    options = options_from((), 3, None, "out")
    assert options.runner == "FnApiRunner"  # not the one that would first download Prism
    assert options.flags == ("--direct_running_mode=multi_threading", "--direct_num_workers=3")
    assert options.in_process
    told = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    options = options_from(told, 3, None, "out")
    assert (options.flags, options.in_process) == (told, False)
    assert options_from(("--direct_running_mode=in_memory",), 3, None, "out").flags == (
        "--direct_running_mode=in_memory",
    )


def test_options_of_a_distant_runner_go_to_it_untouched() -> None:
    told = ("--runner=flink", "--flink_master=host:8081", "--parallelism=8", "--own_option=x")
    options = options_from(told, 3, None, "out")
    assert (options.runner, options.flags) == ("FlinkRunner", told)
    assert not options.in_process
    assert unknown_flags(told) == ["--own_option"]
    assert options.parsed().get_all_options(retain_unknown_options=True)["own_option"] == "x"


def test_a_bucket_may_go_to_dataflow() -> None:
    told = ("--runner=DataflowRunner", "--project=p", "--region=r")
    assert options_from(told, 1, None, "gs://bucket/corpus").runner == "DataflowRunner"
    with pytest.raises(SettingsError, match="do not see this machine's disk"):
        options_from(told, 1, None, "/tmp/corpus")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--runner=PortableRunner", "--job_endpoint=127.0.0.1:{}"), "--job_endpoint=127.0.0.1:"),
        (("--runner=FlinkRunner", "--flink_master=http://127.0.0.1:{}"), "--flink_master=http://"),
        (("--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:{}"), "--spark_master_url"),
    ],
)
def test_a_server_that_does_not_listen_is_told_before_anything_is_planned(
    tmp_path: Path, flags: tuple[str, ...], told: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody else gets the port, and nobody listens
        port = closed.getsockname()[1]
        words = [flag.format(port) for flag in flags]
        job = write_job(tmp_path, rows(1))
        fast = ("--engine", "beam", "--set", "engine.beam.wait_s=1")
        done = voxmill("build", job, "--output", tmp_path / "out", *fast, "--", *words)
        assert done.code == 2
        assert f"{told}" in done.err
        assert "tried for 1 s (engine.beam.wait_s) and could not connect" in done.err
        assert not (tmp_path / "out").exists()
        closed.listen()
        check_listening(options_from(words, 1, None, "out"), 1.0)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--runner=FlinkRunner", "--flink_master=[local]"),
        ("--runner=PortableRunner", "--job_endpoint=embed"),
        ("--job_endpoint=127.0.0.1:1",),
    ],
)
def test_what_names_no_server_is_not_looked_for(flags: tuple[str, ...]) -> None:
    check_listening(options_from(flags, 1, None, "out"), 0.01)
