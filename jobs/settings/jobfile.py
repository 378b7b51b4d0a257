"""The job file: YAML into one validated model. An unknown key is an error naming the nearest."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.reader import ReaderError

from jobs.settings.heard import CheckJob, RetokenizeJob
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.secret import SECRET, shown_change
from pipelines.work_format import software_version
from schemas.errors import SettingsError
from schemas.redaction import redacted

VERSION: Final = 1  # of the job format; raised when a setting of before means something else
MODELS: Final[Mapping[str, type[BaseJob]]] = {
    "instruct_s2s": JobSettings,
    "retokenize": RetokenizeJob,
    "check": CheckJob,
}


def load_job(path: Path, changes: Sequence[str] = ()) -> BaseJob:
    """Read a job file, apply ``a.b=value`` changes (values are YAML), and validate it all."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise SettingsError(
            f"job {path}: {error.strerror}; give the path of a job file, such as "
            "examples/instruct_s2s.yaml"
        ) from error
    except (UnicodeDecodeError, ReaderError) as error:
        raise SettingsError(
            f"job {path}: not YAML: {redacted(str(error))}; save the file as UTF-8 text, without "
            "control characters"
        ) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"job {path}: not YAML: {redacted(str(error))}") from error
    except RecursionError as error:
        raise SettingsError(f"job {path}: nested too deep, wanted keys and values") from error
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
    given = [f"--set {shown_change(change)}" for change in changes]
    told = f" with {' '.join(given)}" if given else ""
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
    address: str | None = None,
    workers: int | None = None,
    beam: Sequence[str] = (),
) -> BaseJob:
    """A job file with the command line's options standing above it."""
    options = {
        "source.path": _from_here(source),
        "output.uri": output,
        "engine.name": engine,
        "engine.ray.address": address,
        "engine.workers": workers,
        "engine.beam.options": list(beam) or None,
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


def validate(document: dict[str, Any], who: str) -> BaseJob:
    """The model of a document. Raises SettingsError with every problem, one a line."""
    document = _without_version(document, who)
    model = _model_of(document, who)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = [_problem(item, model) for item in error.errors()]
        raise SettingsError(f"{who}: " + "\n  ".join(problems)) from error


def _without_version(document: dict[str, Any], who: str) -> dict[str, Any]:
    """The document without its ``version``: that of the job format, which this release must read.

    Judged before all else, since the settings of a newer format would only seem to be unknown.
    """
    told = document.get("version", VERSION)
    if type(told) is not int or told < 1:
        raise SettingsError(
            f"{who}: setting 'version': got {told!r:.80}; wanted the version of the job format, "
            f"which is {VERSION}, or no line"
        )
    if told > VERSION:
        raise SettingsError(
            f"{who}: written for version {told} of the job format, and Voxmill "
            f"{software_version()} reads up to {VERSION}; install a newer Voxmill, or take out "
            f"what is new since and say version: {VERSION}"
        )
    return {key: value for key, value in document.items() if key != "version"}


def _model_of(document: Mapping[str, Any], who: str) -> type[BaseJob]:
    """The job model of the pipeline that a document names; the main one where it names none."""
    name = document.get("pipeline", "instruct_s2s")
    if not isinstance(name, str) or name not in MODELS:
        near = difflib.get_close_matches(str(name), MODELS, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise SettingsError(
            f"{who}: setting 'pipeline': got {name!r:.80}; {hint}wanted one of {', '.join(MODELS)}"
        )
    return MODELS[name]


def _apply(document: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    shown = shown_change(change)
    if not equals or not key:
        raise SettingsError(f"--set {shown}: wanted a.b=value, such as units.clusters=200")
    *parents, last = key.split(".")
    place: Any = document
    for name in parents:
        if not isinstance(place, dict):
            raise SettingsError(f"--set {shown}: '{name}' holds a value and not keys")
        if place.get(name) is None:  # not there, or a section without a line in it
            place[name] = {}
        place = place[name]
    if not isinstance(place, dict):
        raise SettingsError(f"--set {shown}: '{'.'.join(parents)}' holds a value and not keys")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {shown}: {_yaml_problem(error)}") from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    """What is wrong with a value, without the value: it may be a secret."""
    told = error.problem if isinstance(error, yaml.MarkedYAMLError) else "control characters"
    return f"what stands after = is not a YAML value ({told}); put it into quotes, or correct it"


def _problem(item: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 - pydantic's own error record
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.5)
        newer = f"or is the job for a newer Voxmill than {software_version()}? "
        hint = f"did you mean '{near[0]}'? " if near else newer
        return f"unknown setting '{place}'; {hint}known here: {', '.join(sorted(known))}"
    if item["type"] == "missing":
        return f"setting '{place}' is missing; add it"
    if item["type"] == SECRET:
        return f"setting '{place}': {item['msg']}"
    got = redacted(repr(item["input"]))[:80]
    if item["type"] == "model_type":
        return f"setting '{place}': got {got}; wanted keys and values, or no line"
    if item["type"] in ("tuple_type", "list_type"):
        return f"setting '{place}': got {got}; wanted a list, given as a whole"
    return f"setting '{place}': got {got}; {item['msg'].removeprefix('Value error, ').lower()}"


def _known_keys(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    for part in place:
        if isinstance(part, int):
            continue
        if part not in model.model_fields:
            continue  # a name that the job itself gives, such as a model's
        inner = list(_models(model.model_fields[part].annotation))
        if not inner:
            return []
        if len(inner) > 1:  # one of several kinds, which the place names
            kinds = [item for item in inner if "kind" in item.model_fields]
            named = [i for i in kinds if get_args(i.model_fields["kind"].annotation)[0] in place]
            inner = named or inner
        model = inner[0]
    return list(model.model_fields)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in an annotation, however deep: of a dict's values, of a union's members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for item in get_args(annotation):
        yield from _models(item)
