"""A turn that carries audio is not synthesized: it ships re-encoded, with where it came from."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from schemas.shard import split_sample
from tests.pipelines.corpora import build

RATE_HZ = 22050
SECONDS = 1.5


def speech_like() -> bytes:
    """A WAV file, stereo, 22.05 kHz: a tone whose loudness comes and goes as syllables do."""
    t = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 180 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    sink = io.BytesIO()
    soundfile.write(sink, np.stack([tone, tone], axis=1), RATE_HZ, format="WAV")
    return sink.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    audio = {"data": base64.b64encode(speech_like()).decode(), "format": "wav"}
    heard = [
        {"type": "text", "text": "What time is it?"},
        {"type": "input_audio", "input_audio": audio},
    ]
    rows = [
        {
            "id": "heard",
            "messages": [
                {"role": "user", "content": heard},
                {"role": "assistant", "content": "It is half past nine."},
            ],
        },
        {
            "id": "broken",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "And now?"},
                        {
                            "type": "input_audio",
                            "input_audio": {
                                "data": base64.b64encode(b"RIFFnothing").decode(),
                                "format": "wav",
                            },
                        },
                    ],
                },
                {"role": "assistant", "content": "It is later."},
            ],
        },
        *(
            {
                "id": f"text-{n}",
                "messages": [
                    {"role": "user", "content": f"Say the word number {n}."},
                    {"role": "assistant", "content": "Here is the word that you asked me for."},
                ],
            }
            for n in range(6)
        ),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_audio_of_the_source_ships_and_a_broken_file_fails_its_row(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "corpus"
    line = build(
        output,
        "--input",
        str(source),
        "--workers",
        "0",
        "--set",
        "gates=[]",
        "--set",
        "units.clusters=4",
        "--set",
        "splits.eval_fraction=0",
        "--set",
        "limits.max_failed_fraction=1",
    )
    assert (line["rows"], line["accepted"], line["failed"]) == (8, 7, 1)
    manifest = json.loads((output / line["snapshot"]).read_text())
    (shard,) = manifest["shards"]
    rows = pq.read_table(output / "index" / shard["index"]).to_pylist()
    (row,) = [row for row in rows if row["source_id"] == "heard"]
    data = (output / "shards" / shard["name"]).read_bytes()[row["offset"] :][: row["length"]]
    members = split_sample(data, row["key"])
    record = json.loads(members["json"])
    assert [turn["provenance"] for turn in record["turns"]] == ["imported", "synthesized"]
    assert record["turns"][0]["voice"] == ""
    samples, rate = soundfile.read(io.BytesIO(members["00.user.flac"]))
    assert rate == 16000
    assert len(samples) == pytest.approx(SECONDS * rate, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.3, abs=0.02)
    (failed,) = pq.read_table(output / manifest["failed"]["name"]).to_pylist()
    assert failed["source_id"] == "broken"
    assert failed["error"]["error_class"] == "RowError"
    assert "cannot be read" in failed["error"]["message"]
