"""How a worker asks models for many partitions at once, and what it counts.

The partitions are evaluated by threads that wait most of the time; their requests meet in the
worker's one event loop. A thread that is done takes the next partition, so nothing waits for the
slowest row of a batch. Only steps up to the last that asks run here, and those are safe in threads
(a law that every transform is tested for). Nothing that speaks or listens in this process is among
them: steps that ask for speech or for what is heard in it only send their requests here, and find
the replies at the desk when the partitions come one by one (docs/adr/0084).
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import pyarrow as pa

from pipelines.evaluate import Evaluator
from pipelines.graph import UTTERANCES, Pipeline
from pipelines.health import Care, Health
from pipelines.plan import FLAC_BYTES_PER_S, Partition, load_partition
from pipelines.replies import StoreDesk, read_listing, used_calls
from pipelines.watch import StepStats, Watch
from schemas.errors import SystemicError
from schemas.snapshot import FileEntry
from schemas.store import Store
from transforms.ask import AskingStep
from transforms.asks import Asks, AsksSpeech
from transforms.backends.asr_endpoint import HEARD
from transforms.backends.chat.protocol import Reply
from transforms.backends.tts_wire import SPOKEN
from transforms.step import Step

Spent = dict[str, int]  # calls, prompt_tokens, completion_tokens
OF_SOUND = ("characters", "audio_ms")  # counted of calls that speak or hear
BY = "/"  # between a step and whom it asked, where it may ask several
OVERLAP = 2.0  # rows under way per request in flight: a row also waits for its partition's others
COUNTED = ("calls", "prompt_tokens", "completion_tokens")
SPEAKING, HEARING = "synthesize", "transcribe"  # steps that ask for sound, or about it
STEP_OF = {SPOKEN: f"{SPEAKING}{BY}", HEARD: f"{HEARING}{BY}"}  # of a reply; the rest is text
MAX_THREADS = 512
HELD_BYTES = 512_000_000  # of partitions whose speech is heard: a pack, and what is taken of it
COPIES = 2


class Desks:
    """The desks of a worker's partitions, and what was really asked at them."""

    def __init__(
        self, work: Store, output: Store, listing: FileEntry | None, scratch: str = ""
    ) -> None:
        """``scratch`` is the folder of this run in the work store."""
        self._work, self._output, self._listing = work, output, listing
        self._scratch = scratch
        self._entries: dict[str, FileEntry] | None = None
        self._spent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def desk(self, partition: str) -> StoreDesk:
        """The desk of one partition, with what the parent snapshot published for it."""
        with self._lock:
            if self._entries is None:
                self._entries = read_listing(self._output, self._listing)
            entry = self._entries.get(partition)
        return StoreDesk(self._work, partition, self._output, entry, self._count, self._scratch)

    def take_spent(self) -> Spent:
        """What was asked since the last time; see ``asked_of``."""
        with self._lock:
            spent, self._spent = dict(self._spent), Counter()
        return spent

    def _count(self, reply: Reply) -> None:
        of = STEP_OF.get(reply["finish_reason"], "")
        with self._lock:
            self._spent[f"{of}calls"] += 1
            self._spent[f"{of}prompt_tokens"] += reply["prompt_tokens"]
            self._spent[f"{of}completion_tokens"] += reply["completion_tokens"]


def asked_of(spent: Spent, step: str = "") -> Spent:
    """Calls and tokens of what was asked: of language models, or of a step that asks for sound."""
    of = f"{step}{BY}" if step else ""
    return {name: spent.get(f"{of}{name}", 0) for name in COUNTED}


def asking_steps(pipeline: Pipeline, until: str | None) -> list[AskingStep]:
    """The steps before the node ``until`` that ask a model."""
    found = []
    for node in pipeline.nodes:
        if node.name == until:
            break
        if isinstance(node, AskingStep):
            found.append(node)
    return found


def node_after(pipeline: Pipeline, name: str) -> str | None:
    """The node that follows, or None."""
    names = [node.name for node in pipeline.nodes]
    place = names.index(name) + 1
    return names[place] if place < len(names) else None


@dataclass(frozen=True)
class Round:
    """Steps whose requests are sent in one go. ``after`` is the node that follows the last.

    ``waits_for``: the step that is asked, where speech has to be made before, by a pass up to it.
    """

    name: str
    steps: tuple[Asks, ...]
    after: str | None
    waits_for: str | None = None


def rounds(pipeline: Pipeline, until: str | None) -> list[Round]:
    """How the steps before the node ``until`` are asked ahead: what needs speech goes by itself."""
    found: list[Round] = []
    steps: list[Asks] = []
    needs_pass, waits_for = False, None

    def closed() -> None:
        if steps:
            chat = any(not isinstance(step, AsksSpeech) for step in steps)
            name = "ask" if chat else "ask to " + "+".join(step.name for step in steps)
            after = node_after(pipeline, steps[-1].name)
            found.append(Round(name, tuple(steps), after, waits_for))

    for node in pipeline.nodes:
        if node.name == until:
            break
        if not isinstance(node, Step) or not node.memo:
            continue
        if isinstance(node, Asks) and node.services:
            if needs_pass:
                closed()
                steps, needs_pass, waits_for = [], False, node.name
            steps.append(node)
        needs_pass = needs_pass or node.table == UTTERANCES
    closed()
    return found


def num_threads(steps: Sequence[Asks], partitions: Sequence[Partition]) -> int:
    """How many partitions at once keep every model's requests in flight.

    Where their speech is sent away, no more than memory has room for.
    """
    rows = sum(len(partition.ids) for partition in partitions) / max(len(partitions), 1)
    wanted = 0.0
    for service in {service: None for step in steps for service in step.services}:
        each = min(step.requests_per_row for step in steps if service in step.services)
        wanted += service.max_in_flight / max(rows * each, 1.0)
    most = min(MAX_THREADS, len(partitions))
    if any(isinstance(step, AsksSpeech) and "flac" in step.reads.names for step in steps):
        speech_s = max((partition.seconds for partition in partitions), default=0.0)
        most = min(most, int(HELD_BYTES / (COPIES * FLAC_BYTES_PER_S * max(speech_s, 1.0))))
    return max(1, min(most, round(OVERLAP * wanted)))


def ask_ahead(
    evaluator: Evaluator,
    output: Store,
    partitions: Sequence[Partition],
    until: str | None,
    watch: Watch,
    standing: Callable[[Partition], frozenset[str]] = lambda partition: frozenset(),
    care: Care = Care(),  # noqa: B008 - frozen
) -> dict[str, StepStats]:
    """Evaluate the partitions side by side; the counts of all. The first error ends them all.

    ``standing`` are rows that end as they did in the parent: they are not looked at. Once so many
    rows fail that ``care`` will stop the build, no further partition is begun: calls cost money.

    A task that killed its worker is done one partition after the other, so that the row is found.
    """

    health, lock, stopped = Health(care), threading.Lock(), threading.Event()

    def evaluate(partition: Partition, watch: Watch) -> dict[str, StepStats]:
        stand = standing(partition)
        if stopped.is_set() or len(stand) == len(partition.ids):
            return {}
        rows = load_partition(output, partition)
        if stand:
            keep = [key not in stand for key in rows.column("id").to_pylist()]
            rows = rows.filter(pa.array(keep, pa.bool_()))
        stats = evaluator.evaluate(rows, partition.name, until, watch)[1]
        try:
            with lock:
                health.take({name: vars(item) for name, item in stats.items()})
        except SystemicError:
            stopped.set()  # the driver finds the same, from all that was counted here
        return stats

    if watch.solo or watch.poison:
        return _summed(evaluate(item, replace(watch, ahead=True)) for item in partitions)

    def done(step: str, rows: int) -> None:
        with lock:
            watch.done(step, rows)

    # Steps that ask are not "entered": a request may outlast row_timeout_s, and has its own.
    side_by_side = replace(watch, done=done, ahead=True)

    asked = [step for one in rounds(evaluator.pipeline, until)[-1:] for step in one.steps]
    pool = ThreadPoolExecutor(num_threads(asked, partitions))
    try:
        futures = [pool.submit(evaluate, partition, side_by_side) for partition in partitions]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in futures if future.done() and future.exception()]
        return _summed(future.result() for future in failed or futures)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        evaluator.close()  # ends what is in flight, so the threads come back
        raise
    finally:
        pool.shutdown()


def calls_of(tables: Mapping[str, pa.Table]) -> tuple[dict[str, Spent], set[str]]:
    """What the rows of a partition cost, whenever they were asked; and their requests.

    By step; for speech and hearing by step and backend, as in ``synthesize/tts``: each has a price.
    """
    spent: dict[str, Counter[str]] = {}
    keys = set()
    for step, call in used_calls(tables):
        name = f"{step}{BY}{call['asked']}" if "asked" in call else step
        count = spent.setdefault(name, Counter())
        keys.add(call["key"])
        count["calls"] += 1
        count["repairs"] += call["attempt"] > 0
        count["prompt_tokens"] += call["prompt_tokens"]
        count["completion_tokens"] += call["completion_tokens"]
        for name in OF_SOUND:
            if name in call:
                count[name] += call[name]  # type: ignore[literal-required]  # of OF_SOUND
    return {step: dict(count) for step, count in spent.items()}, keys


def add_spent(total: Spent, more: Spent) -> None:
    """Add counts to a total."""
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _summed(parts: Iterable[dict[str, StepStats]]) -> dict[str, StepStats]:
    total: dict[str, StepStats] = {}
    for part in parts:
        for name, item in part.items():
            total.setdefault(name, StepStats()).add(item)
    return total
