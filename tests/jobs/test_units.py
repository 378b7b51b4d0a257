"""Units of models through the command: built, added to a corpus, tried, refused with the cure."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
import yaml
from sklearn.cluster import MiniBatchKMeans

from jobs.commands.checksums import remembered_sha256
from jobs.settings.jobfile import load_job
from jobs.settings.unit import Units
from schemas.canonical import sha256_hex
from schemas.shard import read_npy
from schemas.snapshot import sealed, snapshot_path
from schemas.store import FileStore
from tests.jobs.small import FAST_BANK, Done, manifest_of, rows, voxmill, write_rows
from tests.transforms.test_fairseq_hubert import saved, weights
from tests.unit_models import write_hubert, write_mimi
from transforms.backends.units.hubert import hubert_from
from transforms.clustering.files import centroid_bytes, centroids_of

SETTINGS = {"backend": "hubert", "name": "tiny8", "model": "hubert", "layer": 2, "clusters": 8}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def job_in(folder: Path, units: dict[str, Any], **changes: Any) -> Path:
    """A job of eight rows beside a folder "hubert"."""
    if not (folder / "rows.jsonl").exists():
        write_rows(folder / "rows.jsonl", rows(8))
    told: dict[str, Any] = {
        "name": "tiny",
        "pipeline": "instruct_s2s",
        "seed": 3,
        "source": {"path": "rows.jsonl", "adapter": "alpaca", "name": "rows", "lang": "en"},
        "splits": {"eval_fraction": 0.0},
        "voices": {"bank": str(FAST_BANK)},
        "checks": {"align": False, "vad": False, "asr_fraction": 0},
        "units": units,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(told | changes))
    return path


def retokenized(folder: Path, corpus: Path, units: dict[str, Any], output: Path) -> Done:
    path = folder / "retokenize.yaml"
    told = {"name": "more", "pipeline": "retokenize", "source": {"path": str(corpus)}}
    path.write_text(yaml.safe_dump({**told, "units": units}))
    return voxmill("build", path, "--output", output, "--workers", "0", "--json")


def members(corpus: Path) -> dict[str, bytes]:
    """Every file of every sample, by name."""
    found: dict[str, bytes] = {}
    for shard in sorted((corpus / "shards").iterdir()):
        with tarfile.open(shard) as tar:
            for item in tar:
                data = tar.extractfile(item)
                assert data is not None
                found[item.name] = data.read()
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny HuBERT, a Mimi, and a corpus of the former's units."""
    folder = tmp_path_factory.mktemp("units")
    write_hubert(folder / "hubert")
    write_mimi(folder / "mimi")
    job = job_in(folder, SETTINGS)
    done = voxmill("build", job, "--output", folder / "corpus", "--workers", "0", "--json")
    assert done.code == 0, done.err
    assert done.last_json["accepted"] == 8
    return folder


def test_a_build_with_a_hubert_is_whole_and_tells_its_contract(place: Path) -> None:
    assert voxmill("verify", place / "corpus").code == 0
    manifest = manifest_of(place / "corpus")
    (told,) = manifest["unit_sets"]
    assert told["name"] == "tiny8"
    assert (told["layer"], told["normalization"], told["chunk_samples"]) == (2, "none", 1_600_000)
    assert told["model_sha256"] == sha256_hex((place / "hubert/model.safetensors").read_bytes())
    kept = manifest["artifacts"]["kmeans"]
    assert told["centroids_sha256"] == kept["sha256"]
    data = (place / "corpus" / kept["name"]).read_bytes()
    assert centroids_of(data, "artifact").shape == (8, 16)
    assert str(place) not in json.dumps(manifest)


@pytest.mark.slow
def test_workers_and_a_given_file_of_the_same_centroids_make_the_same_units(
    place: Path, tmp_path: Path
) -> None:
    """The same shards by two processes, and by the centroids that the first build fitted."""
    manifest = manifest_of(place / "corpus")
    job = job_in(place, SETTINGS)
    done = voxmill("build", job, "--output", tmp_path / "two", "--workers", "2", "--json")
    assert done.code == 0, done.err
    assert done.last_json["identity"] == manifest["identity"]
    kept = place / "corpus" / manifest["artifacts"]["kmeans"]["name"]
    given = {**SETTINGS, "centroids": str(kept)}
    del given["clusters"]
    done = voxmill("build", job_in(place, given), "--output", tmp_path / "given", "--workers", "0")
    assert done.code == 0, done.err
    mine = manifest_of(tmp_path / "given")
    assert mine["unit_sets"] == manifest["unit_sets"]
    assert mine["identity"] == manifest["identity"]


def test_retokenize_adds_mimis_codes_and_a_hubert_to_a_finished_corpus(
    place: Path, tmp_path: Path
) -> None:
    mimi = {"backend": "codec", "name": "mimi4", "model": str(place / "mimi")}
    done = retokenized(place, place / "corpus", mimi, tmp_path / "one")
    assert done.code == 0, done.err
    wide = {**SETTINGS, "name": "tiny3", "model": str(place / "hubert"), "layer": 3, "clusters": 3}
    done = retokenized(place, tmp_path / "one", {**wide, "roles": ["user"]}, tmp_path / "both")
    assert done.code == 0, done.err
    verified = voxmill("verify", tmp_path / "both")
    assert verified.code == 0, verified.out
    sets = manifest_of(tmp_path / "both")["unit_sets"]
    assert [item["name"] for item in sets] == ["tiny8", "mimi4", "tiny3"]
    assert (sets[1]["num_codebooks"], sets[1]["model_rate_hz"], sets[1]["grid"]) == (
        4,
        24000,
        "ceil",
    )
    before, after = members(place / "corpus"), members(tmp_path / "both")
    kept = {name: data for name, data in before.items() if not name.endswith(".json")}
    assert {name: after[name] for name in kept} == kept
    assert {name.split(".", 2)[2] for name in set(after) - set(before)} == {
        "assistant.mimi4.npy",
        "user.tiny3.npy",
        "user.tiny3.durations.npy",
    }
    sample = after[next(name for name in after if name.endswith("mimi4.npy"))]
    assert len(read_npy(sample)) == 4
    again = retokenized(place, tmp_path / "both", mimi, tmp_path / "no")
    assert again.code == 2
    assert "a unit set 'mimi4' already" in again.err
    assert "another units.name" in again.err


def test_replay_makes_the_same_bytes_where_the_model_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(members(place / "corpus"))).partition(".")[0]
    done = voxmill("replay", place / "corpus", key)
    assert done.code == 2
    assert "set VOXMILL_UNITS_MODEL" in done.err
    monkeypatch.setenv("VOXMILL_UNITS_MODEL", str(place / "hubert"))
    done = voxmill("replay", place / "corpus", key)
    assert done.code == 0, done.out + done.err
    monkeypatch.setenv("VOXMILL_UNITS_MODEL", str(place / "mimi"))
    assert voxmill("replay", place / "corpus", key).code == 2


def test_verify_sees_units_of_another_contract(place: Path, tmp_path: Path) -> None:
    """A manifest whose layer of promises is another: more codes, another rate, other centroids."""
    corpus = tmp_path / "corpus"
    shutil.copytree(place / "corpus", corpus)
    whole: Any = manifest_of(corpus)
    for change, said in (
        ({"codebook_size": 3}, "unit ids span"),
        ({"hop_samples": 640}, "durations sum to"),
        ({"units_per_s": [60, 90]}, "units per second"),
        ({"num_codebooks": 2}, "units [2, T] of tiny8"),
        ({"centroids_sha256": "0" * 64}, "centroids are of no unit set"),
        ({"name": "other"}, "no units of other"),
    ):
        sets = [{**whole["unit_sets"][0], **change}]
        told = sealed({**whole, "unit_sets": sets})
        (corpus / snapshot_path(1)).write_text(json.dumps(told))
        done = voxmill("verify", corpus)
        assert done.code == 1
        assert said in done.out, change


def test_doctor_runs_a_clip_through_the_model(place: Path) -> None:
    done = voxmill("doctor", job_in(place, SETTINGS), "--output", place / "corpus")
    assert "frames(n) = (n - 350) // 320 + 1" in done.out
    assert "a clip of 2 s gave 99 frames" in done.out
    assert "layer 2 of hubert, input none" in done.out


def _km(folder: Path, clusters: int, dims: int) -> str:
    drawn = np.random.default_rng(0).normal(size=(clusters, dims)).astype(np.float32)
    path = folder / f"km{clusters}x{dims}.safetensors"
    path.write_bytes(centroid_bytes(drawn))
    return str(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nowhere"}, "there is no "),
        ({"layer": 9}, "has layers 1 to 3"),
        ({"frame_rate_hz": 25}, "wants 25 frames per second, hubert gives 50"),
        ({"centroids": "gone.bin"}, "import-kmeans"),
        ({"centroids": (8, 17)}, "centroids of 17 dimensions, the model's frames have 16"),
        ({"centroids": (9, 16)}, "9 centroids, wanted 8"),
        ({"model_sha256": "0" * 64}, "the job wants 0000000000000000"),
        ({"device": "cuda"}, "torch finds no GPU here; set units.device: cpu"),
        ({"codebooks": 3}, "backend hubert does not know codebooks"),
        ({"backend": "mfcc"}, "backend mfcc does not know layer"),
        ({"backend": "hubort"}, "input should be 'mfcc'"),
        ({"clusters": None}, "give centroids, a file, or clusters"),
        ({"name": None}, "needs name too"),
        ({"dtype": "float16"}, "a cpu takes float32"),
        ({"units_per_s": [40, 20]}, "wanted [least, most]"),
        ({"laier": 3}, "did you mean 'layer'?"),
        ({"backend": "own", "layer": None, "model": None, "clusters": None}, "gives no tokens"),
    ],
)
def test_units_that_cannot_be_are_refused_before_the_build(
    place: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    if isinstance(change.get("centroids"), tuple):
        change = {"centroids": _km(tmp_path, *change["centroids"])}
    told = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
    job = job_in(place, told)
    done = voxmill("build", job, "--output", tmp_path / "out", "--workers", "0")
    assert done.code == 2, done.err
    assert said in done.err
    assert not (tmp_path / "out" / "shards").exists()
    seen = voxmill("doctor", job, "--output", tmp_path / "out")
    assert said in seen.out + seen.err


def test_partial_weights_stop_a_build_before_anything_is_spoken(
    place: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    write_hubert(tmp_path / "hubert")
    tensors = load_file(tmp_path / "hubert/model.safetensors")
    del tensors["encoder.layer_norm.bias"]
    save_file(tensors, tmp_path / "hubert/model.safetensors", metadata={"format": "pt"})
    done = voxmill("build", job_in(tmp_path, SETTINGS), "--output", tmp_path / "out")
    assert done.code == 2
    assert "1 of its weights are missing, encoder.layer_norm.bias" in done.err
    assert not list(FileStore(tmp_path / "out").list("work"))


def test_a_plan_can_be_made_where_no_model_is(tmp_path: Path) -> None:
    job = job_in(tmp_path, {**SETTINGS, "model": "elsewhere", "centroids": "km.safetensors"})
    done = voxmill("plan", job, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    assert "note: units.model: there is no " in done.out
    assert "kmeans" in done.out


def test_the_tts_models_own_tokens_want_a_voice_that_gives_them(place: Path) -> None:
    own = {"backend": "own", "name": "own25", "codebook_size": 6561, "frame_rate_hz": 25}
    done = voxmill("build", job_in(place, own), "--output", place / "own")
    assert done.code == 2
    assert "en-assistant (flite), zh-all (espeak): the backend gives no tokens" in done.err
    assert "or extract units from the audio with units.backend hubert, codec or s3" in done.err


def test_import_kmeans_gives_what_a_job_takes(tmp_path: Path) -> None:
    features = np.random.default_rng(1).normal(size=(80, 16)).astype(np.float32)
    model = MiniBatchKMeans(8, n_init=1, random_state=0).fit(features)
    joblib.dump(model, tmp_path / "km.bin")
    command = (
        "units",
        "import-kmeans",
        tmp_path / "km.bin",
        "--output",
        tmp_path / "km.safetensors",
    )
    done = voxmill(*command, "--clusters", "8", "--dimensions", "16")
    assert done.code == 0, done.err
    assert "8 centroids of 16 dimensions" in done.out
    found = centroids_of((tmp_path / "km.safetensors").read_bytes(), "x")
    assert found.tolist() == model.cluster_centers_.astype(np.float32).tolist()
    for option, said in (
        ("--clusters", "holds 8 centroids"),
        ("--dimensions", "have 16"),
    ):
        done = voxmill(*command, option, "5")
        assert done.code == 2
        assert said in done.err
    (tmp_path / "evil.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    done = voxmill("units", "import-kmeans", tmp_path / "evil.bin", "--output", tmp_path / "x")
    assert done.code == 2
    assert "names os.system" in done.err
    assert not (tmp_path / "x").exists()
    done = voxmill("units", "import-kmeans", tmp_path / "gone.bin", "--output", tmp_path / "x")
    assert done.code == 2
    assert "give the file that joblib or numpy saved the centroids in" in done.err


def test_import_hubert_gives_what_a_job_takes(tmp_path: Path) -> None:
    torch.save({"args": None, "model": weights(deep=False)}, tmp_path / "h.pt")
    done = voxmill("units", "import-hubert", tmp_path / "h.pt", "--output", tmp_path / "m")
    assert done.code == 2
    assert "nothing says how many heads its 32 dimensions have" in done.err
    saved(tmp_path / "h.pt", weights(deep=False))
    done = voxmill("units", "import-hubert", tmp_path / "h.pt", "--output", tmp_path / "m")
    assert done.code == 0, done.err
    assert "m: a HuBERT of 3 layers and 32 dimensions, 4 heads, input as it is" in done.out
    assert hubert_from(tmp_path / "m", 2).dimensions == 32


def test_mfccs_settings_stand_in_a_manifest_as_they_ever_did() -> None:
    assert Units().model_dump(mode="json") == {
        "clusters": 100,
        "max_frames": 100_000,
        "roles": ["assistant"],
    }
    assert Units.model_validate(Units(clusters=7).model_dump(mode="json")).num_clusters == 7


def test_a_checksum_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.commands import checksums

    large = tmp_path / "large"
    large.write_bytes(bytes(2 << 20))
    first = remembered_sha256(large)
    read: list[Path] = []
    real = checksums.file_sha256
    monkeypatch.setattr(checksums, "file_sha256", lambda path: read.append(path) or real(path))
    assert remembered_sha256(large) == first == sha256_hex(bytes(2 << 20))
    assert read == []
    large.write_bytes(b"1" + bytes(2 << 20))
    assert remembered_sha256(large) == sha256_hex(b"1" + bytes(2 << 20))
    assert read == [large]
    monkeypatch.setenv("XDG_CACHE_HOME", str(large))  # it cannot be written there
    assert remembered_sha256(large) == sha256_hex(b"1" + bytes(2 << 20))


def test_the_full_size_recipe_names_the_papers_units() -> None:
    job = load_job(Path(__file__).parents[2] / "examples" / "instructs2s_200k.yaml", [])
    units = getattr(job, "units")  # noqa: B009 - of the main pipeline's job
    assert (units.backend, units.layer, units.clusters, units.roles) == (
        "hubert",
        11,
        1000,
        ("assistant",),
    )
