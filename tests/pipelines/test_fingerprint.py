"""Fingerprints: each setting changes its own step's, and what changes no byte changes none."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from pipelines.fingerprint import fingerprint, pipeline_fingerprint
from pipelines.graph import Pipeline
from tests.builders import BANK, pipeline
from tests.fakes import Tone
from transforms.augment import Effects
from transforms.backends.pocketsphinx import PocketsphinxAligner
from transforms.backends.silero import Silero
from transforms.dedup import Near
from transforms.finish import Finish
from transforms.quotas import Quota
from transforms.select import Gate
from transforms.step import Node, Resources, Step
from transforms.text.rules import InputPolicy
from transforms.text.speakable import Limits
from transforms.voices import VoiceBank

QUOTED = replace(BANK, quotas=(Quota(by="gender", shares=(("f", 1.0),)),))
GATE = Gate(measure="duration_s", min=0.1, max=9.0, roles=("user",), langs=("en",))
NODES = pipeline(gates=(GATE,))
ARTIFACTS = {"duplicates": "1" * 64, "kmeans": "2" * 64, "pace": "3" * 64}
CHANGED: dict[str, dict[str, list[Any]]] = {
    "duplicates": {
        "enabled": [False],
        "scope": ["instruction"],
        "ignore": [("case",), ()],
        "near": [Near()],
    },
    "dedup": {},
    "split": {"seed": [8], "eval_fraction": [0.26, 0.0]},
    "rewrite": {
        "seed": [8],
        "input_policy": [InputPolicy.REJECT, InputPolicy.IGNORE],
        "max_input_chars": [(("default", 201), ("zh", 70)), (("default", 200), ("zh", 71))],
        "max_chars": [(("default", 401), ("zh", 130)), (("default", 400),)],
        "filler_rate": [0.51],
    },
    "respond": {"max_chars": [(("default", 261), ("zh", 90))]},
    "check_speakable": {
        "limits": [replace(Limits(), **{item.name: 7}) for item in fields(Limits)],
        "min_pairs": [2],
        "langs": [("en",), ("en", "fr", "zh")],
        "answers": [False],
    },
    "explode": {"answers": [False]},
    "cast": {
        "seed": [8],
        "backends": [(Tone(salt="other"),)],
        "bank": [VoiceBank(BANK.voices[:-1]), QUOTED],  # and every setting of a voice, below
    },
    "synthesize": {
        "sample_rate_hz": [24000],
        "seed": [8],
        "attempts": [2],
        "retry_below": [0.1],
        "aligner": [PocketsphinxAligner()],
        "finish": [Finish(pad_s=0.1, detector=Silero()), Finish(loudness_lufs=-23.0)],
        "own_voices": [("en-answers",), ("zh-all",), ("en-answers", "zh-all")],
    },
    "listen": {
        "aligner": [PocketsphinxAligner()],
        "detector": [Silero()],
        "unrecognizable": [frozenset({"en-asks-low"})],
    },
    "pace": {"seed": [8]},
    "augment": {"seed": [8], "effects": [Effects(noise=0.2)], "roles": [("assistant",)]},
    "measure": {},
    "kmeans": {"seed": [8], "num_clusters": [7], "max_frames": [999], "roles": [("user",)]},
    "units": {"roles": [("user",), ()], "num_clusters": [7]},
    "gather": {"reads": [pipeline().node("gather").reads.remove(0)]},
    "select": {
        "gates": [
            (),
            (GATE, GATE),
            (replace(GATE, measure="mos"),),
            (replace(GATE, min=None),),
            (replace(GATE, min=0.2),),
            (replace(GATE, max=8.0),),
            (replace(GATE, roles=()),),
            (replace(GATE, langs=("zh",)),),
        ],
        "min_pairs": [2],
        "answers": [False],
    },
}
# The voices and backends of synthesize are in voice_digest, a column that it reads. The gather's
# column is named by what select reads.
NO_SETTING = {"resources", "table"}
ELSEWHERE = {("synthesize", "bank"), ("synthesize", "backends"), ("gather", "column")}


def changes() -> Iterator[Any]:
    for name, settings in CHANGED.items():
        for setting, values in settings.items():
            for number, value in enumerate(values):
                yield pytest.param(name, setting, value, id=f"{name}-{setting}-{number}")


def prints(nodes: tuple[Node, ...]) -> dict[str, str]:
    return {node.name: fingerprint(node, ARTIFACTS) for node in nodes}


def with_changed(name: str, **settings: Any) -> tuple[Node, ...]:
    return tuple(
        replace(node, **settings) if node.name == name else node  # type: ignore[type-var]
        for node in NODES.nodes
    )


def differing(nodes: tuple[Node, ...]) -> list[str]:
    before, after = prints(NODES.nodes), prints(nodes)
    return [name for name in before if before[name] != after[name]]


def test_every_setting_of_every_node_is_tried() -> None:
    tried = {(name, setting) for name, settings in CHANGED.items() for setting in settings}
    there = {
        (node.name, item.name)
        for node in NODES.nodes
        for item in fields(node)  # type: ignore[arg-type]
        if item.name not in NO_SETTING
    }
    assert tried | ELSEWHERE == there


@pytest.mark.parametrize(("name", "setting", "value"), list(changes()))
def test_a_setting_changes_its_own_fingerprint_and_no_other(
    name: str, setting: str, value: Any
) -> None:
    assert differing(with_changed(name, **{setting: value})) == [name]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("weight", 9.0),
        ("roles", ("user", "assistant")),
        ("splits", ("train", "eval")),
        ("speaker_id", "somebody"),
        ("rate", 1.01),
        ("pitch", 1.01),
        ("name", "middle"),
        ("lang", "zh"),
        ("id", "en-asks"),
    ],
)
def test_what_a_voice_is_chosen_by_and_sounds_like_is_in_the_casts(
    setting: str, value: Any
) -> None:
    """Else a changed bank would be answered with the snapshot that the old one made."""
    (number,) = (n for n, voice in enumerate(BANK.voices) if voice.id == "en-asks-low")
    voices = list(BANK.voices)
    voices[number] = replace(voices[number], **{setting: value})
    assert differing(with_changed("cast", bank=VoiceBank(tuple(voices)))) == ["cast"]


@pytest.mark.parametrize("name", [node.name for node in NODES.nodes])
def test_a_version_changes_its_own_fingerprint_and_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prints(NODES.nodes)
    node = NODES.node(name)
    monkeypatch.setattr(type(node), "version", node.version + 1)
    after = prints(NODES.nodes)
    assert [key for key in before if before[key] != after[key]] == [name]


@pytest.mark.parametrize(("artifact", "user"), [("duplicates", "dedup"), ("kmeans", "units")])
def test_an_artifact_changes_the_fingerprint_of_its_user(artifact: str, user: str) -> None:
    other = ARTIFACTS | {artifact: "3" * 64}
    found = [n.name for n in NODES.nodes if fingerprint(n, other) != fingerprint(n, ARTIFACTS)]
    assert found == [user]


@pytest.mark.parametrize("step", NODES.steps(), ids=lambda step: step.name)
def test_resources_and_batch_rows_change_nothing(step: Step) -> None:
    if not any(item.name == "resources" for item in fields(step)):  # type: ignore[arg-type]
        return
    other = Resources(cpus=4, gpus=1, memory_mb=9000, batch_rows=3)
    assert differing(with_changed(step.name, resources=other)) == []


def test_the_order_of_what_has_none_changes_nothing() -> None:
    assert differing(with_changed("check_speakable", langs=("zh", "en"))) == []
    backwards = ("spacing", "punctuation", "case")
    assert differing(with_changed("duplicates", ignore=backwards)) == []


def test_a_fingerprint_is_the_same_in_an_equal_pipeline() -> None:
    assert prints(pipeline(gates=(GATE,)).nodes) == prints(NODES.nodes)
    assert len(set(prints(NODES.nodes).values())) == len(NODES.nodes)


def test_a_pipelines_fingerprint_changes_with_any_node_and_its_name() -> None:
    found = {
        pipeline_fingerprint(NODES),
        pipeline_fingerprint(Pipeline("other", NODES.nodes)),
        pipeline_fingerprint(Pipeline(NODES.name, NODES.nodes[:-1])),
        pipeline_fingerprint(Pipeline(NODES.name, with_changed("split", seed=9))),
        pipeline_fingerprint(Pipeline(NODES.name, with_changed("select", min_pairs=9))),
    }
    assert len(found) == 5
    other = Resources(batch_rows=2)
    same = Pipeline(NODES.name, with_changed("synthesize", resources=other))
    assert pipeline_fingerprint(same) == pipeline_fingerprint(NODES)
