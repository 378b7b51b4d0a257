"""How much faster than real time each family of measures is, on one core.

    python -m benchmarks.measures [--rows ROWS.json --adapter alpaca] [--clips 200] [--quick]

English utterances of the rows are spoken with the shipped voices, then measured by the steps that
measure them in a build, and by each family alone: CPU seconds of this process, one thread, the
best of three rounds. The target is 150 x real time for all measures but recognition and MOS; the
aligner, which is a recognizer too, is shown apart. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.checks import JOB, RATE_HZ, Rows, _batch, _english, _node, _run
from jobs.recipes.recipe import BACKENDS, pipeline_of
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_overridden
from transforms.audio import FULL_SCALE, decode_flac
from transforms.kmeans import FitKmeans
from transforms.listen import Listen
from transforms.measure import Measured
from transforms.measure_units import MeasureUnits
from transforms.measures.band import band_measures
from transforms.measures.breaks import break_measures
from transforms.measures.level import level_measures
from transforms.measures.noise import noise_measures
from transforms.measures.pair import pair_measures
from transforms.measures.pitch import pitch_measures
from transforms.measures.text import text_measures
from transforms.pace import FitPace
from transforms.sound import sound_measures
from transforms.step import Step
from transforms.synthesize import Synthesize
from transforms.units import MfccUnits
from transforms.voice_file import load_bank

ROUNDS = 3
TARGET = 150


def main() -> None:
    """Speak, measure, print a table and one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=str(JOB.parent / "sample_instructions.jsonl"))
    parser.add_argument("--adapter", default="messages")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="20 clips")
    args = parser.parse_args()
    job = load_overridden(JOB, [f"source.adapter={args.adapter}"], source=args.rows)
    assert isinstance(job, JobSettings)
    pipeline = pipeline_of(job, load_bank(JOB.parent / job.voices.bank), BACKENDS)
    with threadpool_limits(limits=1):
        clips = 20 if args.quick else args.clips
        rows = _english(Path(args.rows), args.adapter, pipeline, clips)
        speak = replace(_node(pipeline, Synthesize), attempts=1, aligner=None)
        plain = {"role": "assistant", "split": "train"}  # so that every clip has units
        rows = [row | made | plain for row, made in zip(rows, _run(speak, rows), strict=True)]
        print(json.dumps(_figures(pipeline, rows)))


def _figures(pipeline: Any, rows: Rows) -> dict[str, Any]:  # noqa: ANN401 - a Pipeline
    seconds = sum(row["num_samples"] for row in rows) / RATE_HZ
    listen = _node(pipeline, Listen)
    fits = {kind: _node(pipeline, kind) for kind in (FitPace, FitKmeans)}
    artifacts = {}
    for fit in fits.values():
        artifacts[fit.name] = fit.finalize(fit.merge([fit.partial(_batch(fit.reads, rows), 1)]))
    voice_activity = replace(listen, aligner=None)
    alignment = replace(listen, detector=None)
    hear = [row | made for row, made in zip(rows, _run(voice_activity, rows), strict=True)]
    taken = _run(_node(pipeline, Measured), hear, artifacts)
    units = _run(_node(pipeline, MfccUnits), hear, artifacts)
    measured = [a | b | c for a, b, c in zip(hear, taken, units, strict=True)]
    steps = {
        "voice activity (step listen)": (voice_activity, rows, artifacts),
        "sound and text (step measure)": (_node(pipeline, Measured), hear, artifacts),
        "units (step measure_units)": (_node(pipeline, MeasureUnits), measured, artifacts),
        "alignment (step listen)": (alignment, rows, artifacts),
    }
    spent = {name: _step_s(*what) for name, what in steps.items()}
    waves = [decode_flac(row["flac"]) for row in rows]
    families: dict[str, Callable[[int], object]] = {
        "duration and silence": lambda n: sound_measures(*waves[n], rows[n]["spoken_text"]),
        "breaks": lambda n: break_measures(*waves[n]),
        "level": lambda n: level_measures(waves[n][0], waves[n][0] / FULL_SCALE, waves[n][1]),
        "noise": lambda n: noise_measures(waves[n][0] / FULL_SCALE, waves[n][1]),
        "band": lambda n: band_measures(waves[n][0] / FULL_SCALE, waves[n][1]),
        "pitch": lambda n: pitch_measures(waves[n][0] / FULL_SCALE, waves[n][1]),
        "text": lambda n: text_measures(rows[n]["spoken_text"], rows[n]["lang"]),
        "pair": lambda n: pair_measures(measured[n - 1], measured[n]),
    }
    alone = {name: _of_each_s(family, len(rows)) for name, family in families.items()}
    together = sum(value for name, value in spent.items() if "alignment" not in name)
    together += alone["pair"]
    print(f"{len(rows)} clips, {seconds / 60:.1f} minutes\n\n| measures | x real time |\n|---|---|")
    for name, value in (spent | alone).items():
        print(f"| {name} | {seconds / value:.0f} |")
    with_alignment = together + spent["alignment (step listen)"]
    print(f"| all but alignment, recognition and MOS | {seconds / together:.0f} |")
    print(f"| all but recognition and MOS | {seconds / with_alignment:.0f} |")
    return {
        "clips": len(rows),
        "minutes": round(seconds / 60, 2),
        "target_x_real_time": TARGET,
        "all_but_alignment_asr_mos_x_real_time": round(seconds / together),
        "all_but_asr_mos_x_real_time": round(seconds / with_alignment),
        **{
            f"{name}_x_real_time": round(seconds / value) for name, value in (spent | alone).items()
        },
    }


def _step_s(step: Step, rows: Rows, artifacts: dict[str, bytes]) -> float:
    """CPU seconds of a step over rows, in batches of its own size, without loading."""
    batch = _batch(step.reads, rows)
    size = step.resources.batch_rows
    with step.open({name: artifacts[name] for name in step.uses}) as run:
        run(batch.slice(0, 2))
        return _best_s(
            lambda: [run(batch.slice(start, size)) for start in range(0, len(rows), size)]
        )


def _of_each_s(family: Callable[[int], object], count: int) -> float:
    return _best_s(lambda: [family(number) for number in range(count)])


def _best_s(work: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return max(min(found), 1e-9)


if __name__ == "__main__":
    main()
