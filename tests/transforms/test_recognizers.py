"""Recognizers: texts that no other clip changes, long clips, and errors that name the cure."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError
from tests.chat_server import raw, serving
from tests.transcription_server import TranscriptionServer
from tests.transforms.tiny_whisper import edit_json, save_faster_whisper, save_whisper
from transforms.audio import encode_flac
from transforms.backends.asr_endpoint import (
    Form,
    TranscriptionEndpoint,
    TranscriptionService,
    form_data,
)
from transforms.backends.asr_faster import FasterWhisper
from transforms.backends.asr_whisper import Whisper
from transforms.backends.asr_windows import WINDOW_S, windows
from transforms.backends.chat.protocol import RequestRefused, Sampling
from transforms.backends.chat.secret import Secret
from transforms.backends.listening import SAMPLE_RATE_HZ, Clip

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def clip(seconds: float, seed: int, lang: str = "en") -> Clip:
    """Noise that swells and a tone: each seed another sound."""
    chance = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE_HZ)
    times = np.arange(count) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * (150 + 90 * seed) * times) * (0.2 + 0.1 * (seed % 3))
    samples = ((tone + 0.05 * seed * chance.standard_normal(count)) * 9000).clip(-32768, 32767)
    samples = samples.astype(np.int16)
    return Clip(samples, lang, encode_flac(samples, SAMPLE_RATE_HZ), f"sum-{seconds}-{seed}")


CLIPS = [clip(1.0 + 0.7 * n, n, "de" if n % 3 == 2 else "en") for n in range(5)] + [clip(31, 9)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("whisper"))


def whisper(folder: Path, **changes: Any) -> Whisper:
    settings: dict[str, Any] = {"langs": ("en", "de"), "max_new_tokens": 10}
    return Whisper(folder=str(folder), **settings | changes)


def texts(recognizer: Any, clips: list[Clip]) -> list[str]:
    with recognizer.open() as ears:
        return [item.text for item in ears.transcribe(clips)]


@pytest.mark.slow
@pytest.mark.parametrize("batch_items", [1, 4])
def test_a_text_does_not_depend_on_the_clips_beside_it(folder: Path, batch_items: int) -> None:
    with whisper(folder, batch_items=batch_items).open() as ears:
        together = [item.text for item in ears.transcribe(CLIPS)]
        alone = [ears.transcribe([item])[0].text for item in CLIPS]
        backwards = [item.text for item in ears.transcribe(CLIPS[::-1])][::-1]
    assert together == alone == backwards
    assert len(set(together)) >= 4  # the sound and the language are heard


@pytest.mark.slow
def test_a_language_is_told_to_the_model_and_two_loadings_agree(folder: Path) -> None:
    one, other = clip(1.5, 1), replace(clip(1.5, 1), lang="de")
    first = texts(whisper(folder), [one, other])
    assert first[0] != first[1]
    assert texts(whisper(folder), [one, other]) == first


def test_long_clips_are_cut_where_it_is_quiet_and_lose_nothing() -> None:
    chance = np.random.default_rng(0)
    samples = (chance.standard_normal(70 * SAMPLE_RATE_HZ) * 3000).astype(np.int16)
    quiet = slice(27 * SAMPLE_RATE_HZ, 27 * SAMPLE_RATE_HZ + 4000)
    samples[quiet] = 0
    parts = windows(samples)
    assert np.array_equal(np.concatenate(parts), samples)
    assert all(len(part) <= WINDOW_S * SAMPLE_RATE_HZ for part in parts)
    assert quiet.start <= len(parts[0]) <= quiet.stop
    assert [len(part) for part in windows(samples[:1000])] == [1000]


def test_a_clip_of_a_few_samples_is_nothing_heard(folder: Path) -> None:
    assert texts(whisper(folder), [Clip(np.zeros(100, np.int16), "en")]) == [""]


def copied(folder: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, tmp_path / "copy"))


def without_a_weight(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_a_weight, "1 are missing or of another shape (model.decoder.layers.0.fc1.weight)"),
        (lambda f: edit_json(f / "config.json", d_model=32), "are missing or of another shape"),
        (lambda f: edit_json(f / "config.json", model_type="vits"), "is of a 'vits' model"),
        (lambda f: edit_json(f / "generation_config.json", lang_to_id=None), "lacks lang_to_id"),
        (lambda f: (f / "tokenizer.json").unlink(), "lacks tokenizer.json; download"),
        (pickled, "pytorch_model.bin is a pickle and is not read: convert it once"),
        (lambda f: (f / "model.safetensors").write_bytes(b"{}"), "model.safetensors: "),
        (lambda f: (f / "config.json").write_text("{"), "config.json: "),
    ],
)
def test_a_wrong_or_partial_model_is_told_before_anything_is_loaded(
    folder: Path, tmp_path: Path, change: Any, told: str
) -> None:
    bad = copied(folder, tmp_path)
    whisper(bad).check()
    change(bad)
    with pytest.raises(BackendError) as error:
        whisper(bad).check()
    assert told in str(error.value)
    assert "download" in str(error.value) or "convert" in str(error.value)


@pytest.mark.slow
def test_partial_weights_do_not_load_either(folder: Path, tmp_path: Path) -> None:
    bad = copied(folder, tmp_path)
    without_a_weight(bad)
    with pytest.raises(BackendError, match="partial or of another model"), whisper(bad).open():
        pass


def test_a_model_that_changed_since_the_plan_is_not_opened(folder: Path, tmp_path: Path) -> None:
    """What it hears would stand under another's fingerprint."""
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    told = {"config.json": "0" * 64}
    for recognizer in (
        whisper(folder, files=tuple(told.items())),
        FasterWhisper(folder=str(tmp_path), files=tuple(told.items())),
    ):
        with pytest.raises(BackendError, match=r"config\.json has the sha256 .*, wanted 0000"):
            texts(recognizer, [])


def test_a_language_that_the_model_lacks_is_told(folder: Path) -> None:
    with pytest.raises(BackendError, match="does not know fr; take a multilingual"):
        whisper(folder, langs=("en", "fr")).check()


def test_a_missing_folder_says_where_a_model_comes_from(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="huggingface-cli download"):
        whisper(tmp_path / "none").check()
    with pytest.raises(BackendError, match="ct2-transformers-converter"):
        FasterWhisper(folder=str(tmp_path / "none")).check()


@pytest.mark.slow
def test_faster_whisper_runs_a_converted_model_clip_by_clip(tmp_path: Path) -> None:
    # CTranslate2 is not told to suppress all but letters, so they are made likelier.
    source = save_whisper(tmp_path / "whisper", letter_weight=4.0)
    converted = save_faster_whisper(tmp_path / "faster", source)
    ears = FasterWhisper(folder=str(converted), max_new_tokens=10)
    ears.check()
    clips = [replace(item, lang="en") for item in CLIPS]
    together = texts(ears, clips)
    assert together == [texts(ears, [item])[0] for item in clips]
    assert any(together)
    with pytest.raises(BackendError, match="does not know zh"), replace(ears, langs=("zh",)).open():
        pass


@pytest.fixture
def server() -> Iterator[TranscriptionServer]:
    with serving(TranscriptionServer()) as running:
        yield running


def endpoint(server: TranscriptionServer, form: Form | None = None, **reach: Any) -> Any:
    form = form or Form(model="tiny-ears", languages=(("de", "german"),), prompt="A river.")
    reach = {"urls": (server.url,), "patience_s": 1.0, "max_attempts": 1, **reach}
    service = TranscriptionService(sampling=Sampling(model=form.model), form=form, **reach)
    return TranscriptionEndpoint(service=service, langs=("en", "de"))


def test_an_endpoint_is_sent_the_file_its_language_and_the_fields(
    server: TranscriptionServer,
) -> None:
    heard = texts(endpoint(server), CLIPS[:3])
    assert all(
        f"{len(item.samples)} samples" in text for item, text in zip(CLIPS, heard, strict=False)
    )
    body = next(item for item in server.bodies if len(item["audio"]) == len(CLIPS[2].samples))
    assert np.array_equal(body["audio"], CLIPS[2].samples)
    assert (body["model"], body["language"], body["prompt"]) == ("tiny-ears", "german", "A river.")
    assert (body["response_format"], body["temperature"]) == ("json", "0")


def test_a_request_is_made_once_and_its_key_holds_no_address(server: TranscriptionServer) -> None:
    with endpoint(server).open() as ears:
        one, again = ears.transcribe([CLIPS[0]]), ears.transcribe([CLIPS[0]])
    assert one == again  # though the server never says the same twice
    assert server.seen["requests"] == 1
    assert (one[0].requests[0].prompt_tokens, one[0].requests[0].completion_tokens) == (14, 9)
    elsewhere = endpoint(server, urls=("http://elsewhere/v1",), key=Secret("sk-1"))
    assert elsewhere.identity() == endpoint(server).identity()
    assert "elsewhere" not in json.dumps(elsewhere.identity())
    other = endpoint(server, Form(model="tiny-ears", revision="b"))
    assert other.identity() != endpoint(server).identity()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda: raw("<html>hello</html>", 200, "text/html"), "wanted JSON, got text/html"),
        (lambda: raw('{"text": 5}'), "a int where text was wanted"),
        (lambda: raw('{"task": "x"}'), "wanted a transcription"),
        (lambda: raw(""), "an empty body"),
        (lambda: raw("boom", 500), "HTTP 500"),
    ],
)
def test_garbage_is_the_error_of_its_row(
    server: TranscriptionServer, answer: Any, told: str
) -> None:
    size = len(CLIPS[1].samples)
    server.fault = lambda body, number: answer() if len(body["audio"]) == size else None
    with endpoint(server).open() as ears:
        found = ears.transcribe(CLIPS[:3])
    assert [item.error is None for item in found] == [True, False, True]
    assert told in str(found[1].error)
    assert found[1].error is not None
    assert found[1].error.retryable


def test_a_refused_file_is_a_row_error_and_a_refused_key_stops(server: TranscriptionServer) -> None:
    server.fault = lambda body, number: raw('{"error": "file too short"}', 400)
    with endpoint(server).open() as ears:
        (found,) = ears.transcribe(CLIPS[:1])
    assert isinstance(found.error, RequestRefused)
    assert "file too short" in str(found.error)
    server.key = "sk-right"
    wrong = endpoint(server, key=Secret("sk-wrong"))
    with wrong.open() as ears, pytest.raises(BackendError) as error:
        ears.transcribe(CLIPS[:1])
    assert "401" in str(error.value)
    assert "sk-wrong" not in str(error.value)


def test_a_form_is_equal_for_equal_requests() -> None:
    assert form_data({"model": "m"}, b"fLaC") == form_data({"model": "m"}, b"fLaC")
