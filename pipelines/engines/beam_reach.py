"""Whether the servers that Beam's options name listen: its own clients try for minutes, mutely."""

import socket
import time
from collections.abc import Iterator

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)

from pipelines.engines.beam_options import BeamOptions
from schemas.errors import BackendError

POLL_S = 0.5
TRY_S = 5.0  # of one attempt to connect


def check_listening(options: BeamOptions, wait_s: float) -> None:
    """Raise BackendError unless somebody listens where the runner is to send its pipelines.

    What cannot be told from the options (Dataflow, a job server that Beam starts here) is not
    looked at. Of several addresses one has to answer.
    """
    for flag, text in _named(options):
        places = [place for place in map(_place, text.split(",")) if place is not None]
        problem = _not_listening(places, wait_s) if places else None
        if problem is not None:
            raise BackendError(
                f"Beam's {options.runner} at {flag}={text}: tried for {wait_s:g} s "
                f"(engine.beam.wait_s) and could not connect: {problem}; start that server, look "
                "at the address, or leave --runner out to use this machine alone"
            )


def _named(options: BeamOptions) -> Iterator[tuple[str, str]]:
    """The option that says where pipelines go, and its value: a job service, or what is without."""
    told = PipelineOptions(list(options.flags))
    endpoint = told.view_as(PortableOptions).job_endpoint
    if options.local:
        return
    if endpoint:
        yield "--job_endpoint", endpoint
    elif options.runner == "FlinkRunner":
        yield "--flink_master", told.view_as(FlinkRunnerOptions).flink_master
    elif options.runner == "SparkRunner":
        yield "--spark_master_url", told.view_as(SparkRunnerOptions).spark_master_url


def _place(text: str) -> tuple[str, int] | None:
    """Host and port; None for what is no address: embed, [local], a host without a port."""
    host, colon, port = text.strip().rpartition("://")[2].partition("/")[0].rpartition(":")
    return (host.strip("[]"), int(port)) if colon and host and port.isdigit() else None


def _not_listening(places: list[tuple[str, int]], wait_s: float) -> OSError | None:
    """Why none of them could be reached within ``wait_s``."""
    deadline = time.monotonic() + wait_s
    while True:
        for place in places:
            try:
                socket.create_connection(place, timeout=min(wait_s, TRY_S)).close()
                return None
            except OSError as error:
                problem = error
        if time.monotonic() > deadline:
            return problem
        time.sleep(POLL_S)
