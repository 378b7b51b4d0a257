"""Fingerprints of transcribe, rate and compare: each setting changes one; an address or key none.

What a step is told stands in objects within objects: a recognizer in Transcribe, a server's form in
a recognizer. Every field of each is tried, as one that changes the fingerprint or as one that must
not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from jobs.recipes.listen import recognizer_of
from jobs.settings.listen import TranscriptionSettings
from pipelines.fingerprint import fingerprint
from pipelines.listening import listening
from schemas.canonical import digest
from tests.fakes import Ears
from transforms.ask_transcribe import AskTranscribe
from transforms.backends.asr_endpoint import Form, TranscriptionEndpoint, TranscriptionService
from transforms.backends.asr_faster import FasterWhisper
from transforms.backends.asr_whisper import Whisper
from transforms.backends.chat.protocol import Sampling
from transforms.backends.chat.secret import Secret
from transforms.backends.mos import Feeding, MosProgram
from transforms.checks import Checks
from transforms.compare import Compare
from transforms.rate import Rate
from transforms.step import Node, Resources, Step
from transforms.transcribe import Transcribe

FILES = (("model.safetensors", "1" * 64),)
FORM = Form(model="whisper-1")
SERVICE = TranscriptionService(
    sampling=Sampling(model="whisper-1"), form=FORM, urls=("http://one:8000/v1",)
)
SERVER = TranscriptionEndpoint(service=SERVICE, langs=("en", "zh"))
FEEDING = Feeding(program="utmos.pt")
PREDICTOR = MosProgram(path="models/utmos.pt", sha256="2" * 64, feeding=FEEDING)
TRANSCRIBE = Transcribe(seed=7, fraction=0.5, recognizers=(Ears(),))
RATE = Rate(seed=7, fraction=0.5, predictor=PREDICTOR)
COMPARE = Compare(transcribed=True, rated=True)


@dataclass(frozen=True)
class Told:
    """An object that a step is told, how the step holds it, and values for each of its fields."""

    name: str
    item: Any
    changing: dict[str, list[Any]]
    idle: dict[str, list[Any]]

    def step(self, item: Any) -> Node:
        """The step that holds ``item``."""
        if isinstance(item, Step):
            return item
        if isinstance(item, Feeding):
            item = replace(PREDICTOR, feeding=item)
        if isinstance(item, MosProgram):
            return replace(RATE, predictor=item)
        if isinstance(item, Form):
            item = replace(SERVICE, form=item)
        if isinstance(item, TranscriptionService):
            item = replace(SERVER, service=item)
        kind = AskTranscribe if isinstance(item, TranscriptionEndpoint) else Transcribe
        return kind(seed=7, fraction=0.5, recognizers=(item,))

    def print_of(self, **changes: Any) -> str:
        """The step's fingerprint with changed fields."""
        if isinstance(self.item, Feeding):
            changed: Any = self.item.model_copy(update=changes)
        else:
            changed = replace(self.item, **changes)
        return fingerprint(self.step(changed), {})

    @property
    def fields(self) -> set[str]:
        """All of its fields."""
        if isinstance(self.item, Feeding):
            return set(Feeding.model_fields)
        return {item.name for item in fields(self.item)}


ALL = [
    Told(
        "transcribe",
        TRANSCRIBE,
        {
            "seed": [8],
            "fraction": [0.6, 0.0],
            "recognizers": [(), (Ears("other"),), (Ears(), Ears("other")), (SERVER,)],
            "unrecognizable": [frozenset({"robot"})],
        },
        {"resources": [Resources(cpus=4, gpus=1, memory_mb=9, batch_rows=3)]},
    ),
    Told(
        "whisper",
        Whisper(folder="models/w", files=FILES),
        {
            "files": [(("model.safetensors", "3" * 64),), (*FILES, ("config.json", "4" * 64)), ()],
            "langs": [("zh",), ("en", "zh")],
            "device": ["cuda"],
            "dtype": ["bfloat16"],
            "threads": [2],
            "batch_items": [8],  # the sums of a batch are not those of one clip
            "max_new_tokens": [100],
        },
        {"folder": ["elsewhere"], "gpus": [0.5], "setting": ["checks.second"]},
    ),
    Told(
        "faster_whisper",
        FasterWhisper(folder="models/f", files=FILES),
        {
            "files": [(("model.safetensors", "3" * 64),), ()],
            "langs": [("zh",)],
            "device": ["cuda"],
            "compute_type": ["int8"],
            "threads": [2],
            "max_new_tokens": [100],
        },
        {"folder": ["elsewhere"], "gpus": [0.5], "setting": ["checks.second"]},
    ),
    Told(
        "server",
        SERVER,
        {"langs": [("en",)], "service": [replace(SERVICE, form=replace(FORM, model="other"))]},
        {"setting": ["checks.second"]},
    ),
    Told(
        "how a server is reached",
        SERVICE,
        {"form": [replace(FORM, model="other")]},
        {
            "sampling": [Sampling(model="whisper-1", temperature=0.1)],  # of chat models
            "urls": [(), ("http://two:9000/v1", "http://three/v1")],
            "key": [Secret("sk-something")],
            "not_ready": ["the key is not set"],
            "also_named": [("w1",)],
            "max_in_flight": [1],
            "timeout_s": [1.0],
            "connect_timeout_s": [1.0],
            "patience_s": [1.0],
            "max_attempts": [9],
            "processes": [4],
        },
    ),
    Told(
        "what a server is asked",
        FORM,
        {
            "model": ["whisper-2"],
            "revision": ["v3"],
            "temperature": [0.2],
            "prompt": ["Names: Anna."],
            "languages": [(("zh", "chinese"),)],
            "extra": ['{"hotwords": "Anna"}'],
        },
        {},
    ),
    Told(
        "rate",
        RATE,
        {"seed": [8], "fraction": [0.6], "predictor": [replace(PREDICTOR, sha256="3" * 64)]},
        {"resources": [Resources(cpus=4, gpus=1, memory_mb=9, batch_rows=3)]},
    ),
    Told(
        "predictor",
        PREDICTOR,
        {
            "sha256": ["3" * 64, ""],
            "threads": [2],
            "feeding": [FEEDING.model_copy(update={"input_rank": 1})],
        },
        {"path": ["elsewhere/utmos.pt", ""], "setting": ["checks.other"]},
    ),
    Told(
        "feeding",
        FEEDING,
        {
            "sample_rate_hz": [24000],
            "input_rank": [1],
            "takes_rate": [True],
            "output_index": [1],
            "window_samples": [144160],
            "hop_samples": [16000],
            "fit": [(1.0, 0.5)],
            "program": ["utmos.onnx"],  # another library runs it
        },
        {},
    ),
    Told(
        "compare",
        COMPARE,
        {"transcribed": [False], "rated": [False], "rule": ["both", "either"], "agree_max": [0.2]},
        {},
    ),
]


def each(kind: str) -> Iterator[Any]:
    for told in ALL:
        for name, values in getattr(told, kind).items():
            for number, value in enumerate(values):
                yield pytest.param(told, name, value, id=f"{told.name}-{name}-{number}")


@pytest.mark.parametrize("told", ALL, ids=lambda told: told.name)
def test_every_field_is_tried(told: Told) -> None:
    assert not set(told.changing) & set(told.idle)
    assert set(told.changing) | set(told.idle) == told.fields


@pytest.mark.parametrize(("told", "name", "value"), list(each("changing")))
def test_a_setting_changes_the_fingerprint(told: Told, name: str, value: Any) -> None:
    assert told.print_of(**{name: value}) != told.print_of()


@pytest.mark.parametrize(("told", "name", "value"), list(each("idle")))
def test_what_changes_no_byte_changes_no_fingerprint(told: Told, name: str, value: Any) -> None:
    assert getattr(told.item, name) != value
    assert told.print_of(**{name: value}) == told.print_of()


@pytest.mark.parametrize("step", [TRANSCRIBE, RATE, COMPARE], ids=lambda step: step.name)
def test_a_version_changes_the_fingerprint(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(step, {})
    monkeypatch.setattr(type(step), "version", step.version + 1)
    assert fingerprint(step, {}) != before


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (Whisper(folder="", langs=("zh", "en")), Whisper(folder="", langs=("en", "zh"))),
        (Whisper(folder="", device="cuda:0"), Whisper(folder="", device="cuda:1")),
        (replace(SERVER, langs=("zh", "en")), SERVER),
    ],
)
def test_the_order_of_what_has_none_and_the_number_of_a_gpu_change_nothing(
    same: Any, other: Any
) -> None:
    told = ALL[0]
    assert same != other
    assert fingerprint(told.step(same), {}) == fingerprint(told.step(other), {})


def test_two_recognizers_in_another_order_are_other_ears() -> None:
    """The first one's rates are those that gates see."""
    pair = (Ears(), Ears("other"))
    one, other = (replace(TRANSCRIBE, recognizers=ears) for ears in (pair, pair[::-1]))
    assert fingerprint(one, {}) != fingerprint(other, {})


def test_a_changed_listener_redoes_its_own_step_and_no_other() -> None:
    """The steps that hear are apart, so that another comparison costs no recognition."""
    base = Checks(recognizer=Ears(), predictor=PREDICTOR, asr_fraction=0.5, mos_fraction=0.5)
    before = {node.name: fingerprint(node, {}) for node in listening(base, 7)}
    assert list(before) == ["listen", "transcribe", "rate", "compare"]
    for change, step in (
        ({"recognizer": Ears("other")}, "transcribe"),
        ({"asr_fraction": 0.6}, "transcribe"),
        ({"predictor": replace(PREDICTOR, sha256="3" * 64)}, "rate"),
        ({"mos_fraction": 0.6}, "rate"),
        ({"rule": "both"}, "compare"),
        ({"agree_max": 0.1}, "compare"),
    ):
        checks: Checks = replace(base, **change)  # type: ignore[arg-type]
        after = {node.name: fingerprint(node, {}) for node in listening(checks, 7)}
        assert [name for name in before if before[name] != after[name]] == [step], change


def test_a_jobs_address_and_key_reach_no_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_KEY", "sk-one")
    told: dict[str, Any] = {"kind": "transcriptions", "model": "whisper-1", "langs": ["en"]}
    ends = [
        None,
        {"urls": ["http://one/v1"]},
        {"urls": ["http://two/v1", "http://three/v1"], "api_key_env": "ONE_KEY"},
        {"urls": ["http://two/v1"], "api_key_env": "NO_KEY", "max_in_flight": 3},
    ]
    made = [recognizer_of(TranscriptionSettings(**told, endpoint=end), "asr") for end in ends]
    assert len({digest(dict(item.identity())) for item in made}) == 1
    assert "sk-one" not in repr([item.identity() for item in made])
