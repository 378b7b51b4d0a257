"""Our reader against webdataset, litdata and mosaicml-streaming: FLAC decode, worker processes.

    python -m benchmarks.reader_peers [--samples 1280] [--rounds 3] [--workers 2]

Installs the peers in an environment of its own (below --folder, kept for the next run), writes the
same samples in each format, and takes turns: every round runs every reader once, and a ratio is
that of two readers in one round. All shuffle, decode FLAC, JSON and npy in their workers and hand
over padded batches by the same collation. ``voxmill`` decodes by the methods of Sample, as
trainers do; ``voxmill_plain`` by what the others use (json, soundfile, numpy), which shows the
reading apart from the faster decoder. The last line is JSON.
"""

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.front_ends import front_end_rates
from benchmarks.made_corpus import make_corpus

OURS = ("voxmill", "voxmill_plain")
PEERS = ("webdataset", "litdata", "streaming")
REQUIREMENTS = Path(__file__).with_name("reader_peers.txt")
ROOT = Path(__file__).parent.parent
SHARD_SAMPLES = 64
EPOCHS = 3  # the first starts the workers, the last counts
RATE_HZ = 16000


def compare(folder: Path, samples: int, rounds: int, workers: int) -> dict[str, object]:
    """The figures: rates, CPU time and our ratios to each peer, medians over the rounds."""
    python = environment(folder)
    corpus, data = folder / f"corpus-{samples}", folder / f"data-{samples}"
    if not (data / "done").exists():
        counts = [SHARD_SAMPLES] * max(1, samples // SHARD_SAMPLES)
        make_corpus(corpus, counts, payload=speech_like)
        data.mkdir(parents=True, exist_ok=True)
        run(python, "benchmarks.peer_data", str(corpus), str(data))
        (data / "done").touch()
    arguments = (str(corpus), str(data), str(workers), str(EPOCHS))
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in (*OURS, *PEERS)}
    checksums = set()
    for number in range(rounds):
        names = list(measured)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found = json.loads(run(python, "benchmarks.peer_loop", name, *arguments))
            checksums.add((found["samples"], found["checksum"]))
            measured[name].append({"rate": found["rates"][-1], "cpu_ms": found["cpu_ms"][-1]})
            sys.stderr.write(f"round {number + 1}: {name} {found['rates'][-1]:.0f} samples/s\n")
    if len(checksums) != 1:
        raise RuntimeError(f"the readers did not yield the same samples: {sorted(checksums)}")
    return {
        "samples": samples,
        "workers": workers,
        "rounds": rounds,
        "samples_per_s": _medians(measured, "rate"),
        "cpu_ms_per_sample": _medians(measured, "cpu_ms"),
        **{f"{ours}_over_{peer}": _ratio(measured, ours, peer) for ours in OURS for peer in PEERS},
    }


def environment(folder: Path, requirements: Path = REQUIREMENTS) -> Path:
    """The interpreter of the peers' environment, made where it is missing."""
    pins = requirements.read_bytes()
    venv = folder / f"venv-{hashlib.sha256(pins).hexdigest()[:12]}"
    python = venv / "bin" / "python"
    if not (venv / "done").exists():
        sys.stderr.write(f"installing the peers into {venv} (once)\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--requirement", str(requirements)], check=True)
        (venv / "done").touch()
    return python


def run(python: Path, module: str, *arguments: str) -> str:
    """The last line that a module prints in the peers' environment."""
    done = subprocess.run(
        [str(python), "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def speech_like(number: int) -> bytes:
    """A FLAC clip as long as made_corpus says: syllables of a gliding voice over faint noise."""
    sample, is_answer = divmod(number, 2)
    seconds = (1.0 + sample % 17 / 4) * (2 if is_answer else 1)
    random = np.random.default_rng(number)
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = 120 + 60 * np.sin(2 * np.pi * 0.7 * times + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 9)], axis=0)
    syllables = np.clip(np.sin(2 * np.pi * 3 * times), 0, 1)
    wave = 0.1 * voice * syllables + 0.003 * random.standard_normal(len(times))
    sink = io.BytesIO()
    soundfile.write(sink, (wave * 32767).astype(np.int16), RATE_HZ, format="FLAC")
    return sink.getvalue()


def _medians(measured: dict[str, list[dict[str, float]]], figure: str) -> dict[str, float]:
    return {
        name: round(statistics.median(turn[figure] for turn in turns), 3)
        for name, turns in measured.items()
    }


def _ratio(measured: dict[str, list[dict[str, float]]], ours: str, peer: str) -> dict[str, float]:
    pairs = list(zip(measured[ours], measured[peer], strict=True))
    return {
        "wall": round(statistics.median(a["rate"] / b["rate"] for a, b in pairs), 3),
        "cpu": round(statistics.median(b["cpu_ms"] / a["cpu_ms"] for a, b in pairs), 3),
    }


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.reader_peers")
    parser.add_argument("--samples", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="320 samples, one round")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "voxmill-reader-peers",
        help="keeps the environment and the data for the next run",
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    samples, rounds = (320, 1) if options.quick else (options.samples, options.rounds)
    found = compare(options.folder, samples, rounds, options.workers)
    for name in (*OURS, *PEERS):
        rates, cpu = found["samples_per_s"], found["cpu_ms_per_sample"]
        assert isinstance(rates, dict)
        assert isinstance(cpu, dict)
        print(f"{name:<14}{rates[name]:>8.0f} samples/s {cpu[name]:>8.2f} ms of CPU a sample")
    print(json.dumps({"benchmark": "reader_peers", **found, "front_ends": front_end_rates()}))


if __name__ == "__main__":
    main()
