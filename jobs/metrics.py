"""`--metrics-port`: the counts of a running build for Prometheus, read when they are asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pipelines.telemetry import Telemetry
from schemas.errors import SettingsError

LOOPBACK: Final = "127.0.0.1"
# name -> (key of a step's counts, what it is)
BY_STEP: Final = {
    "voxmill_rows": ("rows", "rows that came to a step, in finished tasks"),
    "voxmill_rows_computed": ("computed", "rows that the step computed"),
    "voxmill_rows_reused": ("reused", "rows whose result the memo held"),
    "voxmill_errors": ("failed", "rows that failed in a step"),
    "voxmill_retries": ("retried", "attempts at a row after its first"),
    "voxmill_step_seconds": ("busy_s", "seconds spent in a step, summed over workers"),
}


@contextmanager
def serving(telemetry: Telemetry, port: int | None, address: str = LOOPBACK) -> Iterator[None]:
    """Answer http://ADDRESS:PORT/metrics while the block runs; nothing if there is no port.

    Raises SettingsError where prometheus-client is missing or the port cannot be had.
    """
    if port is None:
        yield
        return
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise SettingsError(
            f"--metrics-port {port}: the package prometheus-client is not installed; run "
            "`pip install 'voxmill[metrics]'`, or leave the option out"
        ) from error
    registry = CollectorRegistry()
    registry.register(_Collector(telemetry.status))
    try:
        server, thread = start_http_server(port, addr=address, registry=registry)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"--metrics-port {port}: {address}:{port} cannot be listened on ({error}); choose "
            "another port or --metrics-address"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Collector:
    """Makes metrics of a status at every scrape, so that nothing is counted twice."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        status = self._status()
        for name, (key, doc) in BY_STEP.items():
            family = CounterMetricFamily(name, doc, labels=["step"])
            for step, counts in status["steps"].items():
                family.add_metric([step], counts[key])
            yield family
        rate = GaugeMetricFamily(
            "voxmill_rows_per_second", "rows of a step over the run's time", labels=["step"]
        )
        for step, counts in status["steps"].items():
            rate.add_metric([step], counts["rows_per_s"])
        yield rate
        tasks = GaugeMetricFamily("voxmill_tasks", "tasks of the stage", labels=["stage", "state"])
        for state in ("done", "total"):
            tasks.add_metric([status["stage"], state], status["tasks"][state])
        yield tasks
        yield GaugeMetricFamily("voxmill_elapsed_seconds", "of the run", value=status["elapsed_s"])
        if status["eta_s"] is not None:
            yield GaugeMetricFamily(
                "voxmill_eta_seconds", "left of the stage in hand", value=status["eta_s"]
            )
        info = GaugeMetricFamily("voxmill_build_info", "this run", labels=["engine", "workers"])
        info.add_metric([status["engine"], str(status["workers"])], 1)
        yield info
