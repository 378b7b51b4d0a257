"""The job file: one validated model. An unknown key is an error naming the nearest known one."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import SettingsError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Role = Literal["user", "assistant"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class PerLang(BaseModel):
    """A number per language; ``default`` for the languages that are not named."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Count]
    default: Count

    def pairs(self) -> tuple[tuple[str, int], ...]:
        """As a sorted tuple, which a step can hold."""
        return tuple(sorted({"default": self.default, **self.__pydantic_extra__}.items()))


class Source(_Model):
    """Where rows come from. ``path`` is relative to the job file."""

    path: str
    adapter: str
    name: str
    license: str = "unknown"
    lang: str = "auto"


class Output(_Model):
    """Where the corpus goes. ``uri`` and ``work`` are relative to the current directory."""

    uri: str | None = None
    work: str | None = None  # where memo packs live; None: work/ inside the output
    same_lineage: bool = False  # accept a source that shares almost no row with the corpus


class Dedup(_Model):
    """Exact duplicates after normalization."""

    enabled: bool = True
    scope: Literal["conversation", "instruction"] = "conversation"
    ignore: tuple[Literal["case", "punctuation", "spacing"], ...] = (
        "case",
        "punctuation",
        "spacing",
    )


class Rewrite(_Model):
    """Instructions to spoken style. Lengths in characters."""

    backend: Literal["rules"] = "rules"
    input_policy: Literal["merge", "reject", "ignore"] = "merge"
    max_input_chars: PerLang = PerLang(default=200, zh=70)  # type: ignore[call-arg]
    max_chars: PerLang = PerLang(default=400, zh=130)  # type: ignore[call-arg]
    filler_rate: Fraction = 0.2


class Respond(_Model):
    """Answers to speech. Lengths in characters."""

    backend: Literal["rules"] = "rules"
    max_chars: PerLang = PerLang(default=260, zh=90)  # type: ignore[call-arg]


class Speakable(_Model):
    """What is rejected before it is spoken."""

    max_chars: Count = 600
    max_word_chars: Count = 40
    max_words: Count = 120
    max_seconds: Annotated[float, Field(gt=0)] = 40.0


class Voices(_Model):
    """The voice bank, a YAML file relative to the job file."""

    bank: str


class Splits(_Model):
    """Which share of the rows is kept for evaluation."""

    eval_fraction: Fraction = 0.05


class Units(_Model):
    """MFCC + k-means. ``max_frames`` bounds the sample that centroids are fitted on."""

    clusters: Annotated[int, Field(ge=2, le=65536)] = 100
    max_frames: Annotated[int, Field(ge=1000, le=1_000_000)] = 100_000
    roles: tuple[Role, ...] = ("assistant",)


class Gate(_Model):
    """Bounds on a measure, inclusive."""

    measure: str
    min: float | None = None
    max: float | None = None
    roles: tuple[Role, ...] = ()
    langs: tuple[str, ...] = ()


class Shards(_Model):
    """``target_mb`` is the planned size of a shard in MB."""

    target_mb: Annotated[float, Field(gt=0)] = 128.0


class Limits(_Model):
    """What the whole build must reach; exit code 3 or 1 otherwise."""

    max_failed_fraction: Fraction = 0.01
    min_accepted_fraction: Fraction = 0.0


class EngineSettings(_Model):
    """How the work is done. Nothing here changes a byte of the corpus."""

    name: Literal["local"] = "local"
    workers: Annotated[int, Field(ge=0)] | None = None  # None: one per core; 0: in this process
    row_timeout_s: Annotated[float, Field(gt=0)] = 120.0


class JobSettings(_Model):
    """A whole job."""

    name: str
    pipeline: Literal["instruct_s2s"] = "instruct_s2s"
    seed: int = 0
    source: Source
    output: Output = Output()
    dedup: Dedup = Dedup()
    splits: Splits = Splits()
    rewrite: Rewrite = Rewrite()
    respond: Respond = Respond()
    speakable: Speakable = Speakable()
    voices: Voices
    units: Units = Units()
    gates: tuple[Gate, ...] = ()
    min_pairs: Count = 1
    shards: Shards = Shards()
    limits: Limits = Limits()
    engine: EngineSettings = EngineSettings()


def load_job(path: Path, changes: Sequence[str] = ()) -> JobSettings:
    """Read a job file, apply ``a.b=value`` changes (values are YAML), and validate it all."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise SettingsError(
            f"job {path}: {error.strerror}; give the path of a job file, such as "
            "examples/instruct_s2s.yaml"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"job {path}: not YAML: {error}") from error
    if document is None:
        raise SettingsError(
            f"job {path}: the file is empty, wanted keys and values; see examples/instruct_s2s.yaml"
        )
    if not isinstance(document, dict):
        raise SettingsError(
            f"job {path}: got {type(document).__name__}, wanted keys and values; rows are given "
            "with --input"
        )
    for change in changes:
        _apply(document, change)
    told = f" with {' '.join(f'--set {change}' for change in changes)}" if changes else ""
    return validate(document, f"job {path}{told}")


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice; YAML itself silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{twice[0]}' is given twice; keep one", node.start_mark
            )
        return super().construct_mapping(node, deep)


def load_overridden(
    path: Path,
    changes: Sequence[str],
    *,
    source: str | None = None,
    output: str | None = None,
    engine: str | None = None,
    workers: int | None = None,
) -> JobSettings:
    """A job file with the command line's options standing above it."""
    options = {
        "source.path": _from_here(source),
        "output.uri": output,
        "engine.name": engine,
        "engine.workers": workers,
    }
    given = [
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in options.items()
        if value is not None
    ]
    return load_job(path, [*changes, *given])


def _from_here(source: str | None) -> str | None:
    """A path given on the command line is relative to the current directory."""
    return source if source is None or "://" in source else str(Path(source).absolute())


def validate(document: dict[str, Any], who: str) -> JobSettings:
    """The model of a document. Raises SettingsError with every problem, one a line."""
    try:
        return JobSettings.model_validate(document)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors()]
        raise SettingsError(f"{who}: " + "\n  ".join(problems)) from error


def _apply(document: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set {change}: wanted a.b=value, such as units.clusters=200")
    *parents, last = key.split(".")
    place: Any = document
    for name in parents:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if place is None:
            raise SettingsError(f"--set {change}: '{name}' holds a value and not keys")
    if not isinstance(place, dict):
        raise SettingsError(f"--set {change}: '{'.'.join(parents)}' holds a value and not keys")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {change}: '{text}' is not a YAML value: {error}") from error


def _problem(item: Any) -> str:  # noqa: ANN401 - pydantic's own error record
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"unknown setting '{place}'; {hint}known here: {', '.join(sorted(known))}"
    if item["type"] == "missing":
        return f"setting '{place}' is missing; add it"
    if item["type"] == "model_type":
        return f"setting '{place}': got {item['input']!r:.80}; wanted keys and values, or no line"
    if item["type"] in ("tuple_type", "list_type"):
        return f"setting '{place}': got {item['input']!r:.80}; wanted a list, given as a whole"
    got = repr(item["input"])
    return f"setting '{place}': got {got[:80]}; {item['msg'].lower()}"


def _known_keys(place: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = JobSettings
    for part in place:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        inner = [
            item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)
        ]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
