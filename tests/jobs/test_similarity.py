"""A build with a sentence model: wrong rewrites are repaired or rejected; no path is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.recipes.similarity import PLACE_ENV
from tests.chat_server import Body, ChatServer, obedient, serving
from tests.jobs.chatting import accepted, asked, chat_job, identity
from tests.jobs.small import NOUNS, build_here, ended, files, manifest_of, row, voxmill
from tests.jobs.test_doctor import doctor
from tests.sentence_model import write_sentence_model

WORDS = " ".join(["tell me something about the an a what is please say paint walls", *NOUNS])


def strays(body: Body) -> str:
    """Says another thing where the castle is asked about, and at first where the garden is."""
    said = body["messages"][1]["content"]
    first = len(body["messages"]) == 2
    if "Instruction" in said and ("castle" in said or (first and "garden" in said)):
        return json.dumps({"question": "Please paint walls?"})
    return obedient(body)


def similar_job(folder: Path, server: ChatServer, **changes: Any) -> Path:
    write_sentence_model(folder / "sentences", WORDS)
    job = chat_job(folder, server, [row("castle"), row("garden"), row("river")])
    setting = {"model": "sentences", "min": 0.5, **changes}
    return _add(job, setting)


def _add(job: Path, setting: dict[str, Any]) -> Path:
    document = yaml.safe_load(job.read_text())
    document["rewrite"]["chat"]["similarity"] = setting
    job.write_text(yaml.safe_dump(document))
    return job


def test_rewrites_that_stray_are_repaired_or_rejected_and_replay_needs_the_models_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "corpus"
    with serving(ChatServer(speak=strays)) as server:
        identity(build_here(similar_job(tmp_path, server), output))
        places = ended(output)
        assert (places["castle"].state, places["castle"].why) == ("rejected", "meaning_changed")
        assert places["garden"].state == "accepted"
        kept = manifest_of(output)["settings"]["rewrite"]["chat"]["similarity"]
        assert set(kept) == {"min", "langs", "graph_sha256", "tokenizer_sha256"}
        place = str(tmp_path / "sentences").encode()
        assert not any(place in data for name, data in files(output).items())
    monkeypatch.delenv(PLACE_ENV, raising=False)
    done = voxmill("replay", output, accepted(output))
    assert done.code == 2
    assert PLACE_ENV in done.err
    monkeypatch.setenv(PLACE_ENV, str(tmp_path / "sentences"))
    assert voxmill("replay", output, accepted(output)).code == 0
    write_sentence_model(tmp_path / "sentences", WORDS + " more")
    done = voxmill("replay", output, accepted(output))
    assert "has the sha256" in done.err


def test_a_model_that_moved_changes_nothing_and_its_minimum_judges_anew(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    with serving(ChatServer()) as server:
        job = similar_job(tmp_path, server)
        one = identity(build_here(job, output))
        asked(server)
        (tmp_path / "sentences").rename(tmp_path / "moved")
        moved = ("--set", "rewrite.chat.similarity.model=moved")
        assert identity(build_here(job, output, *moved)) == one
        done = build_here(job, output, *moved, "--set", "rewrite.chat.similarity.min=0.4")
        assert done.last_json["computed_rows"]["rewrite"] == 3
        assert asked(server) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("rewrite.chat.similarity.model=nowhere", "wanted a folder with model.onnx"),
        ("rewrite.chat.similarity={min: 0.5}", "give the folder"),
        ("rewrite.chat.similarity.graph_sha256=0a1b", "wanted 0a1b"),
        ("rewrite.chat.similarity.model=flat", "wanted the tokens' vectors"),
    ],
)
def test_a_model_of_no_use_stops_before_anything_is_asked_and_the_doctor_tells_it(
    tmp_path: Path, change: str, told: str
) -> None:
    write_sentence_model(tmp_path / "flat", WORDS, rank=2)
    with serving(ChatServer()) as server:
        job = similar_job(tmp_path, server)
        done = build_here(job, tmp_path / "corpus", "--set", change)
        assert done.code == 2
        assert told in done.err
        assert asked(server) == 0
        code, found, _ = doctor(job, tmp_path / "corpus", "--set", change)
        assert code == 2
        assert told in found["similarity"]["told"]


def test_the_doctor_loads_and_tries_the_model(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        code, found, _ = doctor(similar_job(tmp_path, server), tmp_path / "corpus")
        assert code == 0
        assert "the least is 0.5" in found["similarity"]["told"]
