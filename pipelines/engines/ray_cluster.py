"""Reaching a Ray cluster, and what it has room for. All waits end, and say what they tried."""

import logging
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import ray
from ray.data import DataContext

from pipelines.engines.pieces import Piece, Pool
from schemas.errors import BackendError, SettingsError
from transforms.step import Resources

POLL_S = 0.5
MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How Ray is reached and used. ``address`` None: a Ray of this machine's own."""

    address: str | None = None
    cpus: int | None = None  # of a Ray that is started here
    min_workers: int = 1
    max_workers: int | None = None
    pools: Mapping[str, Pool] = field(default_factory=dict)  # by step
    wait_s: float = 30.0
    object_store_mb: int = 200  # of a Ray that is started here


@dataclass(frozen=True)
class Size:
    """How many workers a pool has: at least, at the start, at most."""

    fewest: int
    start: int
    most: int


def connect(options: RayOptions) -> bool:
    """Reach the cluster, or start one here; whether the connection is ours to end.

    A process that is connected already stays connected. Raises BackendError, SettingsError.
    """
    _quiet()
    if options.address not in (None, "auto"):
        _listens(str(options.address), options.wait_s)
    if ray.is_initialized():
        return False
    with _our_signals():
        if options.address is None:
            _start(options)
        else:
            _within(options.address, options.wait_s)
    return True


def _start(options: RayOptions) -> None:
    """A Ray of this machine's own. Its processes end with the thread that starts them: this one."""
    try:
        ray.init(
            address="local",
            num_cpus=options.cpus,
            object_store_memory=options.object_store_mb * MB,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:
        raise BackendError(
            f"a Ray of this machine's own did not start: {str(error) or type(error).__name__}; try "
            "--engine local, or `ray start --head`, which says more"
        ) from error


def _quiet() -> None:
    """Progress is the build's to show, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of settings that are Ray's own
        context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _listens(address: str, wait_s: float) -> None:
    """Raise unless somebody listens there: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise SettingsError(
            f"engine.ray.address: got {address!r}; wanted HOST:PORT of the cluster's head, such as "
            "10.0.0.5:6379, or auto on a machine of the cluster. From outside, submit the build: "
            "ray job submit --address http://HEAD:8265 -- voxmill build JOB --engine ray "
            "--address auto"
        )
    deadline = time.monotonic() + wait_s
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=min(wait_s, 5.0)).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise _unreachable(address, wait_s, error) from error
        time.sleep(POLL_S)


def _within(address: str, wait_s: float) -> None:
    """``ray.init``, but not for longer than ``wait_s``."""
    problem: list[BaseException] = []

    def init() -> None:
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            problem.append(error)

    trying = threading.Thread(target=init, daemon=True, name="ray-init")
    trying.start()
    trying.join(wait_s)
    if problem:
        raise _unreachable(address, wait_s, problem[0]) from problem[0]
    if trying.is_alive():
        raise _unreachable(address, wait_s, "no answer")


@contextmanager
def _our_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself, its core aborts at it; whoever had it has it again after."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unreachable(address: str, wait_s: float, why: object) -> BackendError:
    return BackendError(
        f"Ray cluster at {address}: tried for {wait_s:g} s (engine.ray.wait_s) and could not "
        f"connect: {str(why) or type(why).__name__}; start it (ray start --head --port 6379), look "
        "at the address, or leave --address out to use this machine alone"
    )


def check_room(
    pieces: Sequence[Piece], options: RayOptions, note: Callable[[str], None] = lambda text: None
) -> None:
    """Wait until the cluster has room for the fewest workers of each piece, for ``wait_s``.

    Raises BackendError naming what does not fit; without it, Ray would wait for ever.
    """
    deadline = time.monotonic() + options.wait_s
    asked = False
    try:
        while problem := next((text for one in pieces if (text := _lacking(one, options))), None):
            if time.monotonic() > deadline or options.address is None:
                raise BackendError(problem)
            if not asked:
                note(f"{problem}; waiting for machines for {options.wait_s:g} s at most")
                _ask_for([bundle(piece.needs) for piece in pieces])
                asked = True
            time.sleep(POLL_S)
    finally:
        if asked:
            _ask_for([])


def _ask_for(bundles: list[dict[str, float]]) -> None:
    """Tell the cluster's autoscaler what is wanted, if it has one; no bundles take it back."""
    from ray.autoscaler.sdk import request_resources

    request_resources(
        bundles=[{name: amount for name, amount in item.items() if amount} for item in bundles]
    )


def _lacking(piece: Piece, options: RayOptions) -> str | None:
    fewest = piece.min_workers or options.min_workers
    room = sum(_fit(node["Resources"], piece.needs) for node in _nodes())
    if room >= fewest:
        return None
    has = ray.cluster_resources()
    return (
        f"Ray cluster: {fewest} worker{'s' if fewest > 1 else ''} for {piece.name} with "
        f"{told(piece.needs)} each {'are' if fewest > 1 else 'is'} wanted, and there is room for "
        f"{room} on {len(_nodes())} node(s) with {has.get('CPU', 0):g} CPUs, "
        f"{has.get('GPU', 0):g} GPUs and {has.get('memory', 0) / MB:.0f} MB in all; ask for less "
        "(engine.ray.pools.STEP: cpus, gpus, memory_mb; engine.ray.min_workers), add machines, or "
        "raise engine.ray.wait_s if they are on their way"
    )


def bundle(needs: Resources) -> dict[str, float]:
    """Resources by Ray's names."""
    return {"CPU": needs.cpus, "GPU": needs.gpus, "memory": float(needs.memory_mb * MB)}


def told(needs: Resources) -> str:
    """Resources in words."""
    gpus = f", {needs.gpus:g} GPUs" if needs.gpus else ""
    return f"{needs.cpus:g} CPUs{gpus}, {needs.memory_mb} MB"


def pool_sizes(pieces: Sequence[Piece], options: RayOptions, num_tasks: int) -> list[Size] | None:
    """The pools of the pieces, side by side on the cluster.

    Each first gets its fewest, then one more in turn while there is room. None where not even the
    fewest of all pieces fit at once: then they have to run one after the other.
    """
    free = [dict(node["Resources"]) for node in _nodes()]
    sizes = [0] * len(pieces)
    fewest = [min(piece.min_workers or options.min_workers, num_tasks) for piece in pieces]
    most = [
        min(num_tasks, piece.max_workers or options.max_workers or num_tasks) for piece in pieces
    ]
    most = [max(low, high) for low, high in zip(fewest, most, strict=True)]
    for number, piece in enumerate(pieces):
        while sizes[number] < fewest[number]:
            if not _take(free, piece.needs):
                return None
            sizes[number] += 1
    growing = set(range(len(pieces)))
    while growing:
        for number in sorted(growing):
            if sizes[number] < most[number] and _take(free, pieces[number].needs):
                sizes[number] += 1
            else:
                growing.discard(number)
    bounded = [piece.max_workers or options.max_workers for piece in pieces]
    return [
        Size(low, size, high if bound else size)
        for low, size, high, bound in zip(fewest, sizes, most, bounded, strict=True)
    ]


def _nodes() -> list[dict[str, dict[str, float]]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _fit(has: Mapping[str, float], needs: Resources) -> int:
    """How many workers a machine has room for."""
    free, count = [dict(has)], 0
    while count < 100_000 and _take(free, needs):
        count += 1
    return count


def _take(free: list[dict[str, float]], needs: Resources) -> bool:
    """Take a worker's needs from the first machine that has them."""
    wanted = bundle(needs)
    for node in free:
        if all(node.get(name, 0.0) >= amount - 1e-9 for name, amount in wanted.items()):
            for name, amount in wanted.items():
                node[name] = node.get(name, 0.0) - amount
            return True
    return False
