"""HuBERT base: the step of the engine against the usual script, one file at a time.

The script is what people run: soundfile, one file, the model cut after the same layer, NumPy's
nearest centroid. The engine's step gets the same FLAC files in record batches, in as many processes
of one thread as the script has threads, as `voxmill build` runs it.
"""

import io
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import soundfile

from benchmarks.reader_peers import speech_like
from transforms.backends.units.hubert import HubertFeatures, hubert_from
from transforms.cluster_units import ClusterUnits
from transforms.clustering.files import centroid_bytes

LAYER: Final = 11
CLUSTERS: Final = 1000
PRESETS: Final[dict[str, dict[str, Any]]] = {
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}


def write_model(folder: Path, preset: str) -> HubertFeatures:
    """A model of the released one's shape with random weights, saved once."""
    import json

    if not (folder / "preprocessor_config.json").exists():
        import torch
        from transformers import HubertConfig, HubertModel

        torch.manual_seed(0)
        HubertModel(HubertConfig(**PRESETS[preset])).save_pretrained(folder)
        told = {"do_normalize": preset == "large", "sampling_rate": 16000}
        (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return hubert_from(folder, LAYER)


def clips(count: int) -> list[bytes]:
    """FLAC files of 1 to 10 s."""
    return [speech_like(number) for number in range(count)]


def draw_centroids(spec: HubertFeatures, flacs: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Frames of a few clips, with a little noise: as near to real frames as centroids are."""
    with spec.open() as extract:
        rows = np.concatenate(extract([_wave(flac) for flac in flacs]))
    chance = np.random.default_rng(0)
    picked = rows[chance.integers(0, len(rows), CLUSTERS)]
    noise = 0.05 * rows.std() * chance.standard_normal(picked.shape)
    return np.asarray(picked + noise, np.float32)


def _wave(flac: bytes) -> npt.NDArray[np.float32]:
    samples, _ = soundfile.read(io.BytesIO(flac), dtype="float32")
    return np.asarray(samples, np.float32)


def script(
    spec: HubertFeatures,
    flacs: Sequence[bytes],
    centroids: npt.NDArray[np.float32],
    threads: int,
    *,
    exact: bool = False,
) -> tuple[float, list[list[int]]]:
    """Seconds, and the units of each file's frames, by one file at a time.

    ``exact``: distances in float64, which tells near ties from errors.
    """
    import torch
    from transformers import AutoModel

    torch.set_num_threads(threads)
    model = AutoModel.from_pretrained(spec.folder).eval().to(spec.device)
    model.encoder.layers = model.encoder.layers[: spec.layer]
    if getattr(model.config, "do_stable_layer_norm", False):
        model.encoder.layer_norm = torch.nn.Identity()
    wide = torch.from_numpy(centroids).to(spec.device)
    wide = wide.double() if exact else wide
    norms = (wide**2).sum(1)

    def units(flac: bytes) -> list[int]:
        wave = _wave(flac)
        if spec.normalize:
            wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        with torch.inference_mode():
            frames = model(torch.from_numpy(wave)[None].to(spec.device)).last_hidden_state[0]
            found: list[int] = (norms - 2 * frames.to(wide.dtype) @ wide.T).argmin(1).tolist()
            return found

    units(flacs[0])
    started = time.perf_counter()
    found = [units(flac) for flac in flacs]
    return time.perf_counter() - started, found


def step_of(spec: HubertFeatures) -> ClusterUnits:
    """The engine's step."""
    return ClusterUnits(model=spec, set_name="bench", num_clusters=CLUSTERS, roles=("assistant",))


def run_step(
    spec: HubertFeatures, flacs: Sequence[bytes], centroids: npt.NDArray[np.float32], rows: int
) -> tuple[float, list[list[int]]]:
    """Seconds, and the units of each file, by the engine's step in batches of ``rows``."""
    step = step_of(spec)
    with step.open({"kmeans": centroid_bytes(centroids)}) as run:
        run(_batch(step, flacs[:1]))
        started = time.perf_counter()
        found: list[list[int]] = []
        for start in range(0, len(flacs), rows):
            made = run(_batch(step, flacs[start : start + rows]))
            found += expanded(made)
        return time.perf_counter() - started, found


def expanded(made: pa.RecordBatch) -> list[list[int]]:
    """The unit of each frame, by row."""
    codes, durations = (made.column(name).to_pylist() for name in ("codes", "durations"))
    return [np.repeat(c, d).tolist() for c, d in zip(codes, durations, strict=True)]


def share_equal(found: list[list[int]], expected: list[list[int]]) -> float:
    """The share of frames with the same unit; 0 where the frames are not as many."""
    if [len(row) for row in found] != [len(row) for row in expected]:
        return 0.0
    return float(np.mean(np.concatenate(found) == np.concatenate(expected)))


def _batch(step: ClusterUnits, flacs: Sequence[bytes]) -> pa.RecordBatch:
    rows = [
        {"role": "assistant", "flac": flac, "flac_sha256": "", "sample_rate_hz": 16000}
        for flac in flacs
    ]
    return pa.RecordBatch.from_pylist(rows, schema=step.reads)


def run_processes(
    spec: HubertFeatures, flacs: Sequence[bytes], centroids: npt.NDArray[np.float32], count: int
) -> tuple[float, list[list[int]]]:
    """The same by ``count`` processes, each of one thread; the slowest one's seconds."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(count), context.Queue()
    order = sorted(range(len(flacs)), key=lambda n: -len(flacs[n]))
    shares = [order[number::count] for number in range(count)]
    workers = [
        context.Process(
            target=_process,
            args=(spec, [flacs[n] for n in share], centroids, barrier, queue, number),
        )
        for number, share in enumerate(shares)
    ]
    for worker in workers:
        worker.start()
    results = dict(queue.get() for _ in workers)
    for worker in workers:
        worker.join()
    found: list[list[int]] = [[] for _ in flacs]
    for number, share in enumerate(shares):
        for place, units in zip(share, results[number][1], strict=True):
            found[place] = units
    return max(seconds for seconds, _ in results.values()), found


def _process(
    spec: HubertFeatures,
    flacs: Sequence[bytes],
    centroids: npt.NDArray[np.float32],
    barrier: Any,  # noqa: ANN401 - of a multiprocessing context
    queue: Any,  # noqa: ANN401
    number: int,
) -> None:
    step = step_of(spec)
    with step.open({"kmeans": centroid_bytes(centroids)}) as run:
        run(_batch(step, flacs[:1]))
        barrier.wait()
        started = time.perf_counter()
        found = expanded(run(_batch(step, flacs)))
        queue.put((number, (time.perf_counter() - started, found)))


def on_gpu(folder: Path, device: str, count: int) -> dict[str, object]:
    """Frames and utterances per second of base and large on a GPU, and the share of its peak.

    Peak is what a large product of the same type reaches there, measured in the same run.
    """
    import torch

    figures: dict[str, object] = {"device": torch.cuda.get_device_name(device)}
    for preset in PRESETS:
        plain = write_model(folder / preset, preset)
        spec = replace(plain, device=device, padded=True)
        flacs = clips(count)
        centroids = draw_centroids(plain, flacs[:4])
        script_s, expected = script(replace(plain, device=device), flacs, centroids, 1)
        peak = _peak_flops(device)
        best: tuple[float, int, list[list[int]]] = (float("inf"), 0, [])
        for rows in (16, 64, 256):
            seconds, found = run_step(spec, flacs, centroids, rows)
            best = min(best, (seconds, rows, found))
        seconds, rows, found = best
        frames = sum((soundfile.info(io.BytesIO(f)).frames - 400) // 320 + 1 for f in flacs)
        figures[preset] = {
            "batch_rows": rows,
            "frames_per_s": round(frames / seconds),
            "utterances_per_s": round(len(flacs) / seconds, 1),
            "over_script": round(script_s / seconds, 3),
            "frames_as_the_script": round(share_equal(found, expected), 5),
            "share_of_peak": round(frames / seconds * flops_per_frame(preset) / peak, 3),
        }
    return figures


def flops_per_frame(preset: str, frames: int = 250) -> float:
    """Multiplications and additions of a frame up to LAYER, in an utterance of ``frames``."""
    from transformers import HubertConfig

    config = HubertConfig(**PRESETS[preset])
    total, before, rate = 0.0, 1, 1.0
    for dim, kernel, stride in reversed(
        list(zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True))
    ):
        before = 1 if rate and kernel == config.conv_kernel[0] else dim
        total += rate * 2 * dim * before * kernel
        rate *= stride
    size, inner = config.hidden_size, config.intermediate_size
    total += 2 * config.conv_dim[-1] * size
    groups = config.num_conv_pos_embedding_groups
    total += 2 * size * size / groups * config.num_conv_pos_embeddings
    return total + LAYER * (8 * size * size + 4 * size * inner + 4 * frames * size)


def _peak_flops(device: str) -> float:
    import torch

    one = torch.randn(8192, 8192, device=device)
    best = float("inf")
    for _ in range(5):
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        torch.mm(one, one)
        torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * 8192.0**3 / best
