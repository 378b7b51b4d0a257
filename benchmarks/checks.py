"""What the speech checks catch, what they keep, and what they cost.

    python -m benchmarks.checks [--rows ROWS.json --adapter alpaca] [--clips 200]

English utterances of the rows are spoken with the shipped voices. Half of the clips set thresholds,
the other half is reported: good clips, clips cut to 60 % and 80 %, clips with the text of another
(any other, and the one nearest in length), silence, noise, babble. The gates are those of
examples/instruct_s2s.yaml. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from benchmarks.bare_loop import rows_before
from jobs.recipes.recipe import BACKENDS, pipeline_of
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_overridden
from pipelines.graph import Pipeline
from schemas.utterance import TAKEN
from transforms.audio import decode_flac, encode_flac
from transforms.compare import Compare
from transforms.listen import Listen
from transforms.measure import Measured
from transforms.pace import FitPace
from transforms.select import Gate
from transforms.step import Step
from transforms.synthesize import Synthesize
from transforms.transcribe import Transcribe
from transforms.voice_file import load_bank

JOB = Path(__file__).parents[1] / "examples" / "instruct_s2s.yaml"
RATE_HZ = 16000
MARGIN = 1.05  # a suggested threshold stands this far outside of the good half's extremes
Rows = list[dict[str, Any]]


def main() -> None:
    """Make the clips, judge them, time the steps; print a table and one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=str(JOB.parent / "sample_instructions.jsonl"))
    parser.add_argument("--adapter", default="messages")
    parser.add_argument("--clips", type=int, default=200)
    args = parser.parse_args()
    job = load_overridden(JOB, [f"source.adapter={args.adapter}"], source=args.rows)
    assert isinstance(job, JobSettings)
    pipeline = pipeline_of(job, load_bank(JOB.parent / job.voices.bank), BACKENDS)
    gates = tuple(Gate(**gate.model_dump()) for gate in job.gates)
    with threadpool_limits(limits=1):
        utterances = _english(Path(args.rows), args.adapter, pipeline, args.clips)
        figures = _cost(pipeline, utterances)
        spoken = _run(_node(pipeline, Synthesize), utterances)
        good = [row | made for row, made in zip(utterances, spoken, strict=True)]
        figures |= _catches(pipeline, gates, good)
    print(json.dumps(figures))


def _english(rows: Path, adapter: str, pipeline: Pipeline, count: int) -> Rows:
    """What synthesize reads of English utterances, in the order of their ids."""
    table = rows_before(pipeline, rows, adapter, Synthesize.name)
    found = [row for row in table.to_pylist() if row["lang"] == "en" and row["voice"]]
    return sorted(found, key=lambda row: (row["id"], row["turn"]))[:count]


def _node(pipeline: Pipeline, kind: type[Any]) -> Any:  # noqa: ANN401 - the kind that was asked for
    return next(node for node in pipeline.nodes if isinstance(node, kind))


def _run(step: Step, rows: Rows, artifacts: dict[str, bytes] | None = None) -> Rows:
    with step.open(artifacts or {}) as run:
        made: Rows = run(_batch(step.reads, rows)).to_pylist()
    return made


def _batch(schema: pa.Schema, rows: Rows) -> pa.RecordBatch:
    shown = [{name: row[name] for name in schema.names} for row in rows]
    return pa.RecordBatch.from_pylist(shown, schema=schema)


def _cost(pipeline: Pipeline, rows: Rows) -> dict[str, float]:
    """CPU seconds per hour of speech of each part, and what the checks add to synthesis."""
    speak = _node(pipeline, Synthesize)
    listen, transcribe = _node(pipeline, Listen), _node(pipeline, Transcribe)
    plain = replace(speak, attempts=1, aligner=None)
    bare, made = _timed(plain, rows)
    checked, made_checked = _timed(speak, rows)
    once, _ = _timed(replace(speak, attempts=1), rows)
    hours = sum(row["num_samples"] for row in made) / RATE_HZ / 3600
    spoken = [row | item for row, item in zip(rows, made_checked, strict=True)]
    share, heard = _timed(transcribe, spoken)
    vad, _ = _timed(listen, spoken)
    decode, _ = _timed(replace(listen, detector=None), spoken)
    sampled = sum(item["status"] == TAKEN for row in heard for item in row["transcripts"])
    retried = sum(len(row["attempts"]) > 1 for row in made_checked)
    if sampled:  # the drawn share of few clips is not the share that was asked for
        share *= transcribe.fraction * len(rows) / sampled
    found = {
        "synthesis": bare,
        "alignment": once - bare,
        "retries": checked - once,
        "wer_on_fraction": share,
        "vad": vad - decode,
    }
    print(f"{len(rows)} clips, {hours * 60:.1f} minutes; {retried} tried again")
    for name, seconds in found.items():
        print(f"  {name:16} {seconds / hours:8.1f} CPU s per hour of speech")
    return {
        "clips": len(rows),
        "retried": retried,
        **{f"{name}_s_per_hour": round(value / hours, 1) for name, value in found.items()},
        "alignment_and_wer_over_synthesis": round((once - bare + share) / bare, 3),
        "all_checks_over_synthesis": round((sum(found.values()) - bare) / bare, 3),
    }


def _timed(step: Step, rows: Rows) -> tuple[float, Rows]:
    """CPU seconds of a step over rows, without loading what it needs."""
    batch = _batch(step.reads, rows)
    with step.open({}) as run:
        run(batch.slice(0, 5))
        began = time.process_time()
        made: Rows = run(batch).to_pylist()
        return time.process_time() - began, made


def _catches(pipeline: Pipeline, gates: Sequence[Gate], good: Rows) -> dict[str, Any]:
    half = len(good) // 2
    fit = _node(pipeline, FitPace)
    pace = fit.finalize(fit.merge([fit.partial(_batch(fit.reads, good[:half]), 1)]))
    listeners = [_node(pipeline, kind) for kind in (Listen, Transcribe, Compare)]

    def rejected(rows: Rows) -> list[str]:
        """The gate that rejects each clip; empty if none does."""
        asked = [row | {"attempts": [], "words": []} for row in rows]
        heard = asked
        for step in listeners:
            heard = [row | made for row, made in zip(heard, _run(step, heard), strict=True)]
        taken = _run(_node(pipeline, Measured), heard, {FitPace.name: pace})
        judged = [row | made for row, made in zip(rows, taken, strict=True)]
        if rows is good_half:
            measured.extend(judged)
        return [_first(gates, row) for row in judged]

    measured: Rows = []
    good_half = good[:half]
    rejected(good_half)
    _suggest(gates, measured)
    report = good[half:]
    kinds: dict[str, Callable[[Rows], Rows]] = {
        "good": lambda rows: rows,
        "cut_60": lambda rows: [_with(row, _cut(row, 0.6)) for row in rows],
        "cut_80": lambda rows: [_with(row, _cut(row, 0.8)) for row in rows],
        "wrong_text": _other_text,
        "wrong_text_same_length": _nearest_text,
        "silence": lambda rows: [_with(row, np.zeros(row["num_samples"])) for row in rows],
        "noise": lambda rows: [_with(row, _noise(row)) for row in rows],
        "noisy_0db": lambda rows: [_with(row, _pcm(row) + _noise(row)) for row in rows],
        "babble": lambda rows: [_with(row, _babble(row, rows)) for row in rows],
    }
    figures: dict[str, Any] = {}
    print(f"{'kind':24} {'rejected':>12}   by which gate first")
    for kind, make in kinds.items():
        reasons = rejected(make(report))
        count = sum(map(bool, reasons))
        by = {name: reasons.count(name) for name in sorted(set(reasons) - {""})}
        print(f"{kind:24} {count:5} of {len(reasons):3}   {by}")
        figures[f"{kind}_rejected_percent"] = round(100 * count / len(reasons), 1)
    figures["good_kept_percent"] = round(100 - figures.pop("good_rejected_percent"), 1)
    return figures


def _first(gates: Iterable[Gate], row: dict[str, Any]) -> str:
    return next((gate.measure for gate in gates if gate.judge(row) is not None), "")


def _suggest(gates: Sequence[Gate], rows: Rows) -> None:
    """The extremes of the half that sets thresholds, beside the gates that ship."""
    print("thresholds from the good half, and the gates that ship:")
    for gate in gates:
        values = [
            item["value"]
            for row in rows
            for item in row["measures"]
            if item["name"] == gate.measure and item["status"] == TAKEN
        ]
        if values and (not gate.langs or "en" in gate.langs):
            print(
                f"  {gate.measure:18} good clips {min(values):8.3f} to {max(values):8.3f};"
                f" gate {gate.min} to {gate.max}"
            )


def _with(row: dict[str, Any], samples: npt.NDArray[Any]) -> dict[str, Any]:
    """The row with other audio."""
    limited = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return row | {"flac": encode_flac(limited, RATE_HZ), "num_samples": len(limited)}


def _pcm(row: dict[str, Any]) -> npt.NDArray[np.float64]:
    return decode_flac(row["flac"])[0].astype(np.float64)


def _cut(row: dict[str, Any], share: float) -> npt.NDArray[np.float64]:
    samples = _pcm(row)
    return samples[: round(len(samples) * share)]


def _noise(row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """White noise as loud as the clip."""
    noise = np.random.default_rng(row["num_samples"]).standard_normal(row["num_samples"])
    return np.asarray(noise * np.sqrt(np.mean(_pcm(row) ** 2)), np.float64)


def _babble(row: dict[str, Any], rows: Rows) -> npt.NDArray[np.float64]:
    """Four other clips at once, as long as this one."""
    place = rows.index(row)
    others = [_pcm(rows[(place + step) % len(rows)]) for step in (3, 7, 11, 19)]
    same_length = [np.resize(other, row["num_samples"]) for other in others]
    return np.asarray(np.sum(same_length, axis=0) / 2, np.float64)


def _other_text(rows: Rows) -> Rows:
    texts = [row["spoken_text"] for row in rows]
    return [row | {"spoken_text": texts[n - 1]} for n, row in enumerate(rows)]


def _nearest_text(rows: Rows) -> Rows:
    """Each with the text of the other clip whose duration is nearest."""
    order = sorted(rows, key=lambda row: row["num_samples"])
    found = []
    for place, row in enumerate(order):
        around = [n for n in (place - 1, place + 1) if 0 <= n < len(order)]
        near = min(around, key=lambda n: abs(order[n]["num_samples"] - row["num_samples"]))
        found.append(row | {"spoken_text": order[near]["spoken_text"]})
    return found


if __name__ == "__main__":
    main()
