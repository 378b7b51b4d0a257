"""The sentence model beside the other checks of a rewrite: what it sees, what it is known by."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.canonical import sha256_hex
from schemas.errors import BackendError
from tests.builders import ask_rewrite, conversation
from tests.sentence_model import write_sentence_model
from tests.transforms.test_ask import Scripted, codes, question, rows
from transforms.backends import embedding
from transforms.backends.embedding import MAX_TOKENS, SentenceModel, read_files
from transforms.replies.similarity import Similarity

WORDS = "bake bread name colors paint walls tell me how to three"


def model_in(folder: Path) -> SentenceModel:
    graph, tokenizer = (sha256_hex(data) for data in read_files(str(folder)))
    return SentenceModel(folder=str(folder), graph_sha256=graph, tokenizer_sha256=tokenizer)


def similarity(folder: Path, **changes: Any) -> Similarity:
    made = write_sentence_model(folder, WORDS)
    return Similarity(**{"model": model_in(made), "min": 0.6, "langs": ("en",)} | changes)


def test_a_cosine_counts_what_two_texts_share(tmp_path: Path) -> None:
    with model_in(write_sentence_model(tmp_path, WORDS)).open() as embedder:
        assert embedder.cosine("Bake bread!", "bread, bake") == pytest.approx(1)
        assert embedder.cosine("bake bread", "bake walls") == pytest.approx(0.5)
        assert embedder.cosine("bake bread", "paint walls") == 0
        assert embedder.cosine("bake bread", "unheard of") == 0


def test_a_text_has_the_same_vector_whatever_was_embedded_before(tmp_path: Path) -> None:
    with model_in(write_sentence_model(tmp_path, WORDS)).open() as embedder:
        first = embedder.embed("tell me how to bake bread").tobytes()
        embedder.embed("walls " * 500)
        assert embedder.embed("tell me how to bake bread").tobytes() == first


def test_what_lies_behind_the_last_token_is_not_read(tmp_path: Path) -> None:
    with model_in(write_sentence_model(tmp_path, WORDS)).open() as embedder:
        assert embedder.cosine("bake " * MAX_TOKENS + "walls", "bake") == pytest.approx(1)


def test_another_meaning_is_asked_for_again_and_the_model_is_told(tmp_path: Path) -> None:
    model = Scripted((question("How to paint walls?"), question("Tell me how to bake bread.")))
    step = ask_rewrite(model, similarity=similarity(tmp_path))
    (row,) = rows(step, conversation("How to bake bread", "Mix it."))
    assert row["questions"][0]["spoken_text"] == "Tell me how to bake bread."
    said = model.said.asks[1].messages[-1][1]
    assert "it did not mean the same (similarity 0.50, at least 0.6)" in said


def test_a_meaning_that_stays_lost_rejects_the_turn(tmp_path: Path) -> None:
    model = Scripted((question("How to paint walls?"),))
    step = ask_rewrite(model, similarity=similarity(tmp_path))
    (row,) = rows(step, conversation("How to bake bread", "Mix it."))
    assert codes(row["questions"][0]) == ["meaning_changed"]
    assert len(model.said.asks) == 3


def test_a_language_that_the_model_does_not_know_is_not_compared(tmp_path: Path) -> None:
    model = Scripted((question("请问怎么刷墙？"),))
    step = ask_rewrite(model, similarity=similarity(tmp_path))
    (row,) = rows(step, conversation("怎么烤面包？", "烤。", lang="zh"))
    assert codes(row["questions"][0]) == []


def test_the_fingerprint_has_the_checksums_and_not_the_place(tmp_path: Path) -> None:
    here, there = similarity(tmp_path / "here"), similarity(tmp_path / "there")
    assert ask_rewrite(similarity=here).identity() == ask_rewrite(similarity=there).identity()
    assert "here" not in str(here.identity())
    other = replace(here.model, graph_sha256="0" * 64)
    for changed in (
        replace(here, min=0.5),
        replace(here, langs=("en", "de")),
        replace(here, model=other),
        replace(here, model=replace(here.model, tokenizer_sha256="0" * 64)),
        None,
    ):
        assert ask_rewrite(similarity=changed).identity() != ask_rewrite(similarity=here).identity()
    assert "similarity" not in ask_rewrite().identity()


def test_a_step_that_is_sent_to_a_worker_carries_no_model(tmp_path: Path) -> None:
    step = ask_rewrite(similarity=similarity(tmp_path))
    assert len(pickle.dumps(step.similarity)) < 2000


def _gone(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def _no_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1")


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_gone, "wanted a folder with model.onnx"),
        (_no_graph, "wanted one ONNX file"),
        (_no_tokenizer, "is not a tokenizer"),
        (lambda folder: write_sentence_model(folder, WORDS, rank=2), "wanted the tokens' vectors"),
        (lambda folder: write_sentence_model(folder, WORDS, input_name="x"), "wanted input_ids"),
        (lambda folder: write_sentence_model(folder, WORDS, unit=float("inf")), "not finite"),
    ],
)
def test_a_model_of_no_use_says_what_was_wanted(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    write_sentence_model(tmp_path, WORDS)
    spoil(tmp_path)
    with pytest.raises(BackendError, match=told), model_in(tmp_path).open() as embedder:
        embedder.embed("bake bread")


def test_a_model_that_was_exchanged_is_not_opened(tmp_path: Path) -> None:
    model = model_in(write_sentence_model(tmp_path, WORDS))
    write_sentence_model(tmp_path, WORDS + " more")
    with pytest.raises(BackendError, match="the graph has the sha256"), model.open():
        pass


def test_a_library_that_is_missing_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "LIBRARIES", ("onnxruntime", "no_such_library"))
    with pytest.raises(BackendError, match=r"needs no_such_library; .*\[similarity\]"):
        embedding.require_libraries()
