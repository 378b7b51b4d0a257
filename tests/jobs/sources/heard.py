"""Builders of sources with audio: clips, tars, Parquet and JSON as others write them."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.sources.read import SourceRow, read_source
from jobs.sources.settings import SourceSettings
from schemas.shard import npy
from schemas.unitset import UnitSet
from tests.sound import sine, tone_flac, wav

CLIP = wav(sine(300.0, 0.4))
REPLY = tone_flac(200.0, 0.4)
FRAMES = (6400 - 400) // 320 + 1
KM1000 = UnitSet(
    name="km1000",
    sample_rate_hz=16000,
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
AUDIO_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def pair(number: int = 0) -> dict[str, bytes]:
    """The members of a good sample."""
    record = {"turns": [{"role": "user"}, {"role": "assistant", "text": f"Reply {number}."}]}
    return {
        "json": json.dumps(record).encode(),
        "00.user.wav": CLIP,
        "00.user.txt": f"Question {number}?".encode(),
        "01.assistant.flac": REPLY,
    }


def tar_bytes(members: Sequence[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar with these members, in this order."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def samples_tar(samples: Mapping[str, Mapping[str, bytes]]) -> bytes:
    """A tar of samples by key."""
    return tar_bytes(
        [(f"{key}.{name}", data) for key, files in samples.items() for name, data in files.items()]
    )


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_rounds(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Parquet as ``datasets`` writes audio: structs of {bytes, path}, features as metadata."""
    features = {"question_audio": {"_type": "Audio"}, "answer_audio": {"_type": "Audio"}}
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("round", pa.int64()),
            ("question", pa.string()),
            ("question_audio", AUDIO_STRUCT),
            ("answer", pa.string()),
            ("answer_audio", AUDIO_STRUCT),
            ("speech_token", pa.list_(pa.int64())),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path)
    return path


def round_of(key: str, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": key,
        "round": number,
        "question": f"Question {number}?",
        "question_audio": {"bytes": CLIP, "path": "q.wav"},
        "answer": f"Answer {number}.",
        "answer_audio": {"bytes": REPLY, "path": None},
        "speech_token": [1, 2, 3],
        **changes,
    }


def read(path: Path | str, adapter: str, **changes: Any) -> list[SourceRow]:
    settings = SourceSettings(
        path=path, adapter=adapter, name="test", license="CC0-1.0", lang="en", **changes
    )
    return list(read_source(settings))


def units_member(values: Sequence[int]) -> bytes:
    return npy(np.asarray([values], np.int16))


def message(row: SourceRow) -> str:
    assert row.error is not None, row.origin
    return row.error["message"]


def audios(row: SourceRow) -> list[bytes | None]:
    assert row.conversation is not None, row.error
    return [turn["audio"] for turn in row.conversation["turns"]]
