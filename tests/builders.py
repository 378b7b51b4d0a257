"""Builders of the tests' data: rows, tables, audio, a voice that costs nothing, whole pipelines."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import soundfile

from pipelines.check import CheckRecipe, check
from pipelines.evaluate import Evaluator
from pipelines.graph import PLANNED, Pipeline
from pipelines.instruct_s2s import Recipe, instruct_s2s
from pipelines.listening import listening
from pipelines.retokenize import RetokenizeRecipe, retokenize
from pipelines.tables import live
from schemas.canonical import canonical_json
from schemas.columns import RowFailure, failure
from schemas.conformance import conform, plain
from schemas.conversation import Conversation, Turn, content_hash, row_id, turn
from schemas.unitset import UnitSet
from schemas.utterance import HEARD, MEASURES, OWN_UNITS, SPEECH, UNITS, UTTERANCE, VOICE
from tests.fakes import Parrot, Tone
from tests.sound import RATE_HZ, sine, tone_flac, wav
from transforms.ask import Prompts
from transforms.ask_respond import AskRespond
from transforms.ask_rewrite import AskRewrite
from transforms.augment import Augment, Effects
from transforms.backends.chat.protocol import (
    ChatBackend,
)
from transforms.checks import Checks
from transforms.dedup import FindDuplicates
from transforms.no_answers import NoAnswers
from transforms.pick import Pick
from transforms.prompts.prompt import SHIPPED, packaged_prompt
from transforms.rate import OPINIONS
from transforms.replies.meaning import ALL_KEPT
from transforms.respond import Respond
from transforms.rewrite import Rewrite
from transforms.step import Artifacts, BatchFn, Fit, Resources, Step, TableName
from transforms.text.rules import InputPolicy
from transforms.text.speakable import Limits
from transforms.transcribe import TRANSCRIPTS
from transforms.voices import Voice, VoiceBank


@dataclass(frozen=True)
class Row:
    """A row as a source gives it: pipelines.spool.SourceRow."""

    conversation: Conversation | None
    digest: str
    origin: str
    source: str
    error: RowFailure | None
    key: str = ""


def voice(identifier: str, lang: str, name: str, **changes: Any) -> Voice:
    """A voice of the Tone backend."""
    settings: dict[str, Any] = {
        "speaker_id": f"tone-{name}",
        "gender": "f",
        "backend": "tone",
        "license": "CC0-1.0",
    }
    return Voice(id=identifier, lang=lang, name=name, **settings | changes)


BANK = VoiceBank(
    (
        voice("en-answers", "en", "middle", roles=("assistant",)),
        voice("en-asks-eval", "en", "low", rate=1.1, roles=("user",), splits=("eval",)),
        voice("en-asks-high", "en", "high", roles=("user",), splits=("train",)),
        voice("en-asks-low", "en", "low", roles=("user",), splits=("train",), weight=2.0),
        voice("zh-all", "zh", "high", pitch=1.2),
    )
)


EVERY_EFFECT = Effects(speed=0.4, room=0.4, noise=0.6, telephone=0.3, gain=0.6)


def recipe(**changes: Any) -> Recipe:
    """Small settings, the Tone backend; ``seed`` is also the rewrite's."""
    seed = changes.get("seed", 7)
    settings: dict[str, Any] = {
        "seed": seed,
        "duplicates": FindDuplicates(),
        "eval_fraction": 0.25,
        "rewrite": Rewrite(
            seed=seed,
            input_policy=InputPolicy.MERGE,
            max_input_chars=(("default", 200), ("zh", 70)),
            max_chars=(("default", 400), ("zh", 130)),
            filler_rate=0.5,
        ),
        "respond": Respond(max_chars=(("default", 260), ("zh", 90))),
        "limits": Limits(),
        "bank": BANK,
        "backends": (Tone(),),
        "clusters": 6,
        "max_frames": 1000,
        "unit_roles": ("assistant",),
        "gates": (),
        "min_pairs": 1,
        "augment": Augment(seed=seed, effects=EVERY_EFFECT),
    }
    return Recipe(**settings | changes)


def pipeline(**changes: Any) -> Pipeline:
    """The main pipeline of ``recipe(**changes)``."""
    return instruct_s2s(recipe(**changes))


def conversation(*said: str | Turn, system: str = "", **changes: Any) -> Conversation:
    """User and assistant in turn; a turn is a text, or a Turn such as ``heard`` makes."""
    turns = [turn("system", system)] if system else []
    for number, item in enumerate(said):
        role = "assistant" if number % 2 else "user"
        turns.append(turn(role, item) if isinstance(item, str) else {**item, "role": role})
    row: dict[str, Any] = {
        "source_id": "",
        "license": "CC0-1.0",
        "lang": "en",
        "turns": turns,
        "image": None,
    }
    return row | changes  # type: ignore[return-value]


def heard(text: str, audio: bytes, provenance: str = "human") -> Turn:
    """A turn that carries audio."""
    return {"role": "", "text": text, "input": "", "audio": audio, "provenance": provenance}


def source_row(row: Conversation, origin: str = "rows.jsonl:1", source: str = "test") -> Row:
    """A conversation as a source gives it."""
    return Row(row, content_hash(row), origin, source, None)


def broken_row(text: str = "{", origin: str = "rows.jsonl:1") -> Row:
    """A line that is no conversation."""
    digest = hashlib.sha256(b"malformed" + text.encode()).hexdigest()[:24]
    error = failure("source", "MalformedRow", f"got {text}", retryable=False)
    return Row(None, digest, origin, "test", error)


def planned_table(rows: Sequence[Conversation], born: int = 1) -> pa.Table:
    """Conversations as a partition holds them, in the order given."""
    seen: dict[str, int] = {}
    table = []
    for number, row in enumerate(rows):
        digest = content_hash(row)
        seen[digest] = seen.get(digest, -1) + 1
        table.append(
            {
                **row,
                "id": row_id(digest, seen[digest]),
                "source": "test",
                "origin": f"rows.jsonl:{number + 1}",
                "source_error": None,
                "born": born,
            }
        )
    return pa.Table.from_pylist(table, schema=plain(PLANNED))


def corpus() -> list[Conversation]:
    """Emoji, Chinese, several turns, audio, duplicates, empty texts, an unknown language."""
    clip = wav(sine(440.0, 0.6, 22050), 22050)
    rows = [
        conversation("Name a color.", "Blue is a color. It is the color of the sky."),
        conversation("name a COLOR", "Blue is a color. It is the color of the sky"),
        conversation("Say hi 👋🏽 to 3 friends 🎉", "Hi, hi and hi! 😀 They are happy."),
        conversation("用一句话介绍北京。", "北京是中国的首都，有3000多年的历史。", lang="zh"),
        conversation("写一首诗", "春天来了，花都开了。", "再写一首", "秋天到了。", lang="zh"),
        conversation(
            "Hello.", "Hello, how are you?", "Fine. You?", "Fine, thank you.", system="Be."
        ),
        conversation("What is said here?", "A word.", "And now?", "$$x^2 = 4$$", "Again?", "Yes."),
        conversation(heard("hello there", clip), heard("hello", clip, "imported")),
        conversation(heard("and this", clip), "That is a text."),
        conversation("", "An answer to nothing."),
        conversation("No answer follows.", ""),
        conversation("Nobody answers."),
        conversation("Bonjour à tous.", "Bonjour.", lang="fr"),
        conversation("Ünïcödé?", "See https://example.org/a?b=c for more."),
        conversation("Solve it.", "$$x^2 = 4$$"),
        {**conversation("Sum it up.", "It is short."), "image": "images/1.png"},
    ]
    rows[0]["turns"][0]["input"] = "something warm"
    numbered = [
        conversation(f"Tell me about the number {n}.", f"It follows {n - 1}. That is all.")
        for n in range(1, 9)
    ]
    return [*rows, rows[2], *numbered]


def spoken_corpus() -> list[Conversation]:
    """Conversations that are heard: others' audio, a sample of a corpus, and what is missing."""
    clip, reply = wav(sine(440.0, 0.6, 22050), 22050), tone_flac()
    turns = {
        turn: {
            "turn": turn,
            "role": role,
            "text": "Hi.",
            "spoken_text": "Hi!",
            "voice": "en-asks-low",
            "speaker_id": "tone-low",
            "measures": {"duration_s": 0.5},
            "measures_not_taken": {"mos": "unavailable"},
        }
        for turn, role in ((1, "user"), (2, "assistant"))
    }
    record = {"split": "eval", "turns": list(turns.values())}
    sample = conversation(heard("Hi.", reply), heard("Hi.", reply), system="Be kind.")
    sample["record"] = canonical_json(record).decode()
    sample["imported"] = [{"turn": 2, "set": KEPT_SET.name, "codes": [3, 1], "durations": None}]
    units = [{**sample["imported"][0], "turn": 1}, {**sample["imported"][0], "turn": 3}]
    rows = [
        sample,
        conversation(heard("hello", clip), heard("there", reply), imported=units[:1]),
        conversation(
            *(heard("one", clip), heard("two", reply), heard("three", clip), heard("four", reply)),
            imported=units,
        ),
        conversation(heard("no answer", clip)),
        conversation(heard("a text", clip), "instead of audio"),
        conversation(heard("", clip), heard("no text", reply)),
    ]
    return [row if "record" in row else {**row, "record": None} for row in rows]  # type: ignore[list-item]


KEPT_SET = UnitSet(
    name="km1000",
    sample_rate_hz=RATE_HZ,
    window_samples=400,
    hop_samples=320,
    num_codebooks=1,
    codebook_size=1000,
    collapse="run_length_lost",
    roles=("assistant",),
    model="mhubert",
    model_sha256="",
    centroids_sha256="",
    provenance="imported",
)


def checking() -> Pipeline:
    """The pipeline check, which extracts no units and keeps those that rows bring."""
    return check(
        CheckRecipe(
            seed=7,
            duplicates=FindDuplicates(),
            eval_fraction=0.25,
            need_texts=True,
            sample_rate_hz=RATE_HZ,
            clusters=None,
            max_frames=1000,
            unit_roles=(),
            kept=(KEPT_SET,),
            gates=(),
            min_pairs=1,
        )
    )


def retokenizing() -> Pipeline:
    """The pipeline retokenize, with few clusters."""
    return retokenize(
        RetokenizeRecipe(
            seed=7, clusters=6, max_frames=1000, unit_roles=("assistant",), kept=(KEPT_SET,)
        )
    )


def questions_only() -> Pipeline:
    """The main pipeline as it makes an evaluation set: some rows picked, no answer spoken."""
    return pipeline(pick=Pick(leave=("left",)), respond=NoAnswers())


def inputs_of(
    nodes: Pipeline, rows: pa.Table, last: str = ""
) -> tuple[dict[str, pa.RecordBatch], dict[str, bytes]]:
    """What each node of a pipeline reads for these rows, by name; and the artifacts.

    Up to the node ``last``, or to the end.
    """
    inputs: dict[str, pa.RecordBatch] = {}
    artifacts: dict[str, bytes] = {}
    for node in nodes.nodes:
        tables, _ = Evaluator(nodes, None, {}, artifacts).evaluate(rows, "p000000", node.name)
        table = tables[node.table]
        inputs[node.name] = conform(node.name, table.filter(live(table)), node.reads)
        if isinstance(node, Fit):
            partial = node.partial(inputs[node.name], 1)
            artifacts[node.name] = node.finalize(node.merge([partial]))
        if node.name == last:
            break
    return inputs, artifacts


def utterances(schema: pa.Schema, *rows: Mapping[str, Any]) -> pa.RecordBatch:
    """A batch of ``schema``, whose columns are those of the utterance table; rows say what differs.

    The checksums and lengths of ``audio`` and ``flac`` follow from them.
    """
    speech = tone_flac()
    plain_row: dict[str, Any] = {
        "id": f"{'0' * 24}-0",
        "turn": 0,
        "role": "user",
        "lang": "en",
        "split": "train",
        "text": "Hello.",
        "spoken_text": "Hello.",
        "audio": None,
        "provenance": "",
        "voice": "en-asks-low",
        "speaker_id": "tone-low",
        "voice_digest": "d" * 64,
        "flac": speech,
        "sample_rate_hz": RATE_HZ,
        "audio_provenance": "synthesized",
        "attempts": [],
        "words": [],
        "augmentation": "",
        "heard": [],
        "heard_text": "",
        "transcripts": [],
        "opinions": [],
        "measures": [],
        "own_codes": None,
        "codes": None,
        "durations": None,
        "num_frames": 0,
        "num_units": 0,
    }
    table = []
    for changes in rows:
        row = plain_row | dict(changes)
        audio = row["audio"]
        row["audio_sha256"] = "" if audio is None else hashlib.sha256(audio).hexdigest()
        row["flac_sha256"] = hashlib.sha256(row["flac"]).hexdigest()
        row["num_samples"] = soundfile.info(io.BytesIO(row["flac"])).frames
        table.append({name: row[name] for name in schema.names})
    listened = (*HEARD, *TRANSCRIPTS, *OPINIONS)
    known = pa.schema([*UTTERANCE, *VOICE, *SPEECH, *listened, *MEASURES, *OWN_UNITS, *UNITS])
    assert set(schema.names) <= set(known.names), schema.names
    return pa.RecordBatch.from_pylist(table, schema=schema)


def hear(
    checks: Checks,
    *rows: Mapping[str, Any],
    seed: int = 3,
    unrecognizable: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """What all listeners together make of utterances, which are said as for `utterances`."""
    found = [dict(row) for row in rows]
    for step in listening(checks, seed, unrecognizable):
        assert isinstance(step, Step)
        made = run_step(step, utterances(step.reads, *found))
        found = [{**row, **new} for row, new in zip(found, made, strict=True)]
    return found


def run_step(step: Step, batch: pa.RecordBatch, artifacts: Artifacts | None = None) -> list[Any]:
    """The rows that a newly opened step makes of a batch."""
    with step.open(artifacts or {}) as run:
        rows: list[Any] = run(batch).to_pylist()
    return rows


@dataclass(frozen=True, kw_only=True)
class Toy(Step):
    """A real step of a test's own function."""

    run: BatchFn
    reads: pa.Schema  # type: ignore[misc]
    writes: pa.Schema  # type: ignore[misc]
    name: str = "toy"  # type: ignore[misc]
    table: TableName = "conversations"  # type: ignore[misc]
    memo: bool = False  # type: ignore[misc]
    uses: tuple[str, ...] = ()  # type: ignore[misc]
    resources: Resources = Resources()

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        yield self.run


def rowwise(
    schema: pa.Schema, function: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """A batch function from a function of one row."""
    return lambda batch: pa.RecordBatch.from_pylist(
        [function(row) for row in batch.to_pylist()], schema=schema
    )


def prompts(step: str) -> Prompts:
    """The prompts that ship for a step."""
    return Prompts(by_place=tuple((("", lang), packaged_prompt(step, lang)) for lang in SHIPPED))


def ask_rewrite(chat: ChatBackend | None = None, **changes: Any) -> AskRewrite:
    """The rewrite step that asks ``chat`` (a Parrot)."""
    settings: dict[str, Any] = {
        "chat": chat or Parrot(),
        "seed": 7,
        "prompts": prompts("rewrite"),
        "input_policy": InputPolicy.MERGE,
        "max_input_chars": (("default", 200), ("zh", 70)),
        "max_chars": (("default", 400), ("zh", 130)),
        "max_asks": 3,
        "keep": ALL_KEPT,
    }
    return AskRewrite(**settings | changes)


def ask_respond(chat: ChatBackend | None = None, **changes: Any) -> AskRespond:
    """The respond step that asks ``chat`` (a Parrot)."""
    settings: dict[str, Any] = {
        "chat": chat or Parrot(),
        "seed": 7,
        "prompts": prompts("respond"),
        "max_chars": (("default", 260), ("zh", 90)),
        "max_asks": 3,
        "use_reference": False,
    }
    return AskRespond(**settings | changes)
