"""The doctor's look at listeners: files, weights, languages, servers, and one clip through each."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from jobs.doctor.models import get_text
from jobs.doctor.speech import PATIENCE_S, TEXTS, Heard
from jobs.recipes.chat import missing_key
from jobs.recipes.checks import checks_of
from jobs.recipes.listen import endpoints_of
from jobs.settings.check import Checks
from schemas.errors import BackendError, VoxmillError
from transforms.audio import encode_flac
from transforms.backends.asr_endpoint import TranscriptionEndpoint, TranscriptionService
from transforms.backends.flite import Flite
from transforms.backends.listening import SAMPLE_RATE_HZ, Clip, Recognizer
from transforms.backends.mos import MosProgram
from transforms.backends.tts import Samples, VoiceSpec
from transforms.hearing import edits
from transforms.listen import at_16khz
from transforms.text.heard import heard_words

POOR_WER = 0.5  # of a clear English sentence: not a model that hears
SCALE = (0.5, 5.5)  # of opinions, with some room


def look_at_listeners(checks: Checks, langs: tuple[str, ...]) -> Iterator[Heard]:
    """Every listener of a section. ``langs`` are those of the bank; empty where it is not known."""
    ears = checks_of(checks)
    yield from listening_endpoints(checks)
    for part, recognizer in zip(("asr", "second"), ears.recognizers, strict=False):
        yield from _recognizer(f"checks.{part}", recognizer, langs)
    if ears.predictor is not None:
        yield _predictor(ears.predictor)


def listening_endpoints(checks: Checks) -> Iterator[Heard]:
    """The servers: an address, a key, an answer. The quick part, which a build runs too."""
    for part, told in endpoints_of(checks):
        who = f"checks.{part}"
        if told.endpoint is None:
            cure = f"set {who}.endpoint.urls to the server's address, which ends in /v1"
            yield Heard(who, "failed", "no endpoint is named", cure)
            continue
        env = told.endpoint.api_key_env
        if env and not os.environ.get(env):
            yield Heard(who, "failed", f"no API key in {env}", missing_key(env))
            continue
        for url in told.endpoint.urls:
            what = f"{who} at {url}"
            try:
                asyncio.run(get_text(url.rstrip("/") + "/models", None))
            except ImportError:
                cure = "pip install -c constraints.txt -e '.[speech]'"
                yield Heard(what, "failed", "the endpoint client needs aiohttp", cure)
            except (OSError, TimeoutError) as error:
                told_error = f"no answer: {type(error).__name__}: {error}"
                cure = f"start the server, or correct {who}.endpoint.urls"
                yield Heard(what, "failed", told_error, cure)


def _recognizer(who: str, recognizer: Recognizer, langs: tuple[str, ...]) -> Iterator[Heard]:
    if isinstance(recognizer, TranscriptionEndpoint) and isinstance(
        recognizer.service, TranscriptionService
    ):
        service = replace(recognizer.service, patience_s=PATIENCE_S)
        recognizer = replace(recognizer, service=service)
    samples, text = spoken_clip()
    lang = "en" if "en" in recognizer.langs else (*recognizer.langs, "en")[0]
    clip = Clip(samples, lang, encode_flac(samples, SAMPLE_RATE_HZ), "doctor")
    try:
        recognizer.check()
        with recognizer.open() as ears:
            (heard,) = ears.transcribe([clip])
        if heard.error is not None:
            raise BackendError(f"{who}: {heard.error}; see the server's own log")
    except VoxmillError as error:
        yield _broken(who, str(error))
        return
    said = heard_words(text, "en")
    if not text or lang != "en":
        yield Heard(who, "ok", f"opens, and hears {heard.text[:60]!r} in a tone")
    else:
        wer = edits(said, heard_words(heard.text, "en")) / len(said)
        told = f"WER {wer:.2f} on {text!r}: it hears {heard.text[:100]!r}"
        cure = "this is no model that hears English: check what was downloaded"
        yield Heard(who, "warning", told, cure) if wer > POOR_WER else Heard(who, "ok", told)
    lacking = sorted(set(langs) - set(recognizer.langs))
    if lacking:
        yield Heard(
            who,
            "warning",
            f"does not hear {', '.join(lacking)}: error rates of those rows are unavailable, and "
            "their gates pass unchecked",
            f"name a multilingual model, or set {who}.langs where the model knows them",
        )


def _predictor(predictor: MosProgram) -> Heard:
    who = predictor.setting
    samples, _ = spoken_clip()
    noise = np.random.default_rng(1).standard_normal(len(samples)) * 3000
    try:
        predictor.check()
        with predictor.open() as listener:
            score = listener.score(samples, SAMPLE_RATE_HZ)
            other = listener.score(noise.astype(np.int16), SAMPLE_RATE_HZ)
    except VoxmillError as error:
        return _broken(who, str(error))
    cure = "see docs/listeners.md: output_index, fit or the rate in its YAML file may be wrong"
    if score is None or other is None:
        return Heard(who, "failed", "it gives no finite score for three seconds of speech", cure)
    told = f"rates a clear sentence {score:.2f}, noise {other:.2f}"
    odd = not all(SCALE[0] <= value <= SCALE[1] for value in (score, other)) or score <= other
    return Heard(who, "warning", told, cure) if odd else Heard(who, "ok", told)


def _broken(who: str, message: str) -> Heard:
    """An error as a finding; what follows its last semicolon is the cure, but for a server's."""
    told, _, cure = message.rpartition("; ")
    if not told or "last: " in message:
        cure = f"see that {who}.endpoint.urls are of the API (they end in /v1), and its own log"
        return Heard(who, "failed", message, cure)
    return Heard(who, "failed", told, cure)


def spoken_clip() -> tuple[Samples, str]:
    """A sentence said by flite, and the sentence; a tone and no text where flite is not here."""
    voice = VoiceSpec(name="rms", lang="en")
    try:
        Flite().check(voice)
        with Flite().open() as speaker:
            speech = speaker.speak(TEXTS["en"], voice)
        return at_16khz(speech.samples, speech.sample_rate_hz), TEXTS["en"]
    except VoxmillError:
        times = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        return (8000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16), ""
