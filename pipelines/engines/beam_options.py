"""What Beam is told: the runner by name, its options, and what they must not be."""

import contextlib
import difflib
import io
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.errors import BackendError, SettingsError

WHERE = "engine.beam.options (what stands after --)"
HERE = ("DirectRunner", "FnApiRunner")  # names of the runner of this machine
ELSEWHERE = ("DataflowRunner", "TestDataflowRunner")  # never on a machine that has our disk


@dataclass(frozen=True)
class BeamOptions:
    """The runner, and all options as they were given and as they were completed."""

    runner: str
    flags: tuple[str, ...]
    accelerator: str | None = None  # resource hint of steps that need a GPU

    @property
    def local(self) -> bool:
        """Whether the driver's own process runs the pipeline."""
        return self.runner == "FnApiRunner"

    @property
    def in_process(self) -> bool:
        """Whether the DoFns live in the driver's own process."""
        mode = self.parsed().view_as(DirectOptions).direct_running_mode
        return self.local and mode != "multi_processing"

    def parsed(self, count: int | None = None) -> PipelineOptions:
        """As Beam takes them. On this machine ``count`` tasks start no more workers than that."""
        options = PipelineOptions(list(self.flags))
        if self.local and count is not None:
            here = options.view_as(DirectOptions)
            here.direct_num_workers = min(here.direct_num_workers or os.cpu_count() or 1, count)
        return options


def options_from(
    flags: Sequence[str], workers: int, accelerator: str | None, output: str
) -> BeamOptions:
    """The options. ``workers`` is for the runner of this machine, unless the options say it.

    DirectRunner is taken as the FnApiRunner in it: left to itself it first looks for Prism, a
    program that it would download. Raises SettingsError for a runner that is not known, that loses
    rows, or that could never see an ``output`` on this machine's disk.
    """
    _check_values(flags)
    given = PipelineOptions(list(flags)).view_as(StandardOptions).runner or "DirectRunner"
    runner = _known(given)
    if runner in ELSEWHERE and scheme_of(output) not in OBJECT_SCHEMES:
        raise SettingsError(
            f"output {output}: the runner {runner} works on machines that do not see this "
            "machine's disk; give --output gs://BUCKET/PREFIX or another store that they reach"
        )
    more: list[str] = []
    if runner in HERE:
        runner = "FnApiRunner"
        if not _says(flags, "--direct_running_mode"):
            more.append("--direct_running_mode=multi_threading")
        if not _says(flags, "--direct_num_workers") and not _in_memory(flags):
            more.append(f"--direct_num_workers={workers}")
    return BeamOptions(runner, (*flags, *more), accelerator)


def check_runner(runner: str) -> None:
    """Raise BackendError for a runner whose packages are not installed."""
    try:
        create_runner(runner)
    except (ImportError, AttributeError) as error:
        raise BackendError(
            f"Beam's runner {runner} cannot be loaded: {error}; install what it needs beside "
            "voxmill, such as apache-beam[gcp] for Dataflow"
        ) from error


def unknown_flags(flags: Sequence[str]) -> list[str]:
    """The options that no class of Beam's Python SDK knows; a runner of its own may know them."""
    options = PipelineOptions(list(flags))
    with _quiet():
        known = options.get_all_options()
        everything = options.get_all_options(retain_unknown_options=True)
    return sorted(f"--{name}" for name in everything.keys() - known.keys())


def _check_values(flags: Sequence[str]) -> None:
    """Raise SettingsError where Beam's own parser would end the process; --help may do that."""
    told = io.StringIO()
    try:
        with _quiet(), contextlib.redirect_stderr(told):
            PipelineOptions(list(flags)).get_all_options()
    except SystemExit as end:
        if not end.code:
            raise
        problem = told.getvalue().strip().rpartition("error: ")[2]
        raise SettingsError(f"{WHERE}: {problem}; -- --help lists Beam's options") from end


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Beam's word that it discards options which it does not know: it does not."""
    logger = logging.getLogger("apache_beam.options.pipeline_options")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _known(given: str) -> str:
    """The runner's name as Beam spells it; the dotted path of a class stands as it is."""
    if "dask" in given.lower():
        raise SettingsError(
            f"{WHERE}: the runner {given} is refused: it loses rows "
            "(https://github.com/apache/beam/issues/29365) and does not say so; give another one, "
            "or --engine ray --address HOST:PORT for a cluster of your own"
        )
    if "." in given:
        return given
    names = {name.lower(): name for name in StandardOptions.KNOWN_RUNNER_NAMES}
    name = names.get(given.lower()) or names.get(f"{given.lower()}runner")
    if name is None:
        near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
        hint = f"did you mean {names[near[0]]}? " if near else ""
        raise SettingsError(
            f"{WHERE}: Beam has no runner '{given}'; {hint}wanted one of "
            f"{', '.join(sorted(names.values()))}, or the dotted path of a runner's class"
        )
    return name


def _says(flags: Sequence[str], name: str) -> bool:
    return any(flag == name or flag.startswith(f"{name}=") for flag in flags)


def _in_memory(flags: Sequence[str]) -> bool:
    """Whether Beam runs one bundle at a time, whatever it is told of workers."""
    options = PipelineOptions(list(flags)).view_as(DirectOptions)
    return _says(flags, "--direct_running_mode") and options.direct_running_mode == "in_memory"
