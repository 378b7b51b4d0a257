"""Units that are the speech model's own tokens: which voices give them, and whether they can."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobs.recipes.unit import AUDIO_RATE_HZ, ToldUnits, own_plan, told_units
from jobs.settings.job import JobSettings
from jobs.settings.unit import Units
from pipelines.instruct_s2s import own_voices
from schemas.errors import BackendError, SettingsError
from transforms.backends.tts import SpeechBackend, TokenBackend, TokenSet
from transforms.voices import Voice, VoiceBank

CURE: Final = "or extract units from the audio with units.backend hubert, codec or s3"


def units_of(
    job: JobSettings,
    bank: VoiceBank,
    backends: Sequence[SpeechBackend],
    folder: Path,
    absent: list[str] | None = None,
    *,
    kept: bool = False,
) -> ToldUnits:
    """The units of a job that speaks. ``folder`` is the job file's.

    Raises SettingsError or BackendError as told_units, and for voices whose backends give no
    tokens, or whose tokens are of another model's; these name the voices. ``absent`` as there.
    ``kept``: the job is a manifest's, which says what tokens they were where no model is.
    """
    if job.units.backend != "own":
        return told_units(job.units, folder, job.seed, absent)
    units = job.units
    by_name = {backend.name: backend for backend in backends}
    roles = units.roles if job.respond.backend != "none" else ("user",)
    voices = own_voices(bank, [role for role in units.roles if role in roles])
    _check_voices(voices, by_name)
    _check_sound(job)
    given: dict[TokenSet, list[str]] = {}
    for voice in voices:
        given.setdefault(_token_set(by_name[voice.backend], units, absent, kept=kept), []).append(
            voice.id
        )
    if len(given) > 1:
        told = "; ".join(f"{', '.join(ids)}: {_words(item)}" for item, ids in given.items())
        raise SettingsError(
            f"units.backend own: one unit set has one vocabulary, and these voices have different "
            f"ones ({told}); speak with one model, {CURE}"
        )
    if not given:  # no turn has units
        return ToldUnits(settings=units, plan=None)
    return own_plan(_agreed(units, next(iter(given))))


def _check_voices(voices: Sequence[Voice], by_name: dict[str, SpeechBackend]) -> None:
    silent = [
        voice
        for voice in voices
        if voice.backend in by_name and not isinstance(by_name[voice.backend], TokenBackend)
    ]
    if silent:
        named = ", ".join(f"{voice.id} ({voice.backend})" for voice in silent)
        raise SettingsError(
            f"units.backend own: {named}: the backend gives no tokens of its own; give the voices "
            f"whose turns have units (units.roles) a backend that does (kind: cosyvoice), {CURE}"
        )
    odd = [f"{voice.id} (rate {voice.rate:g})" for voice in voices if voice.rate != 1.0]
    if odd:
        raise SettingsError(
            f"units.backend own: {', '.join(odd)}: another rate stretches the sound after its "
            f"tokens were made; set `rate: 1` in the bank, {CURE}"
        )


def _check_sound(job: JobSettings) -> None:
    """Nothing may move the samples against the tokens that they were made from."""
    if job.synthesize.pad_s is not None:
        raise SettingsError(
            "units.backend own: synthesize.pad_s cuts and pads the audio, and the tokens would not "
            f"lie on it; remove synthesize.pad_s, {CURE}"
        )
    augment = job.augment
    if augment.speed > 0 and set(augment.roles) & set(job.units.roles):
        raise SettingsError(
            "units.backend own: augment.speed stretches turns that have tokens; set it to 0, leave "
            f"their role out of augment.roles, {CURE}"
        )


def _token_set(
    backend: SpeechBackend, units: Units, absent: list[str] | None, *, kept: bool
) -> TokenSet:
    """What the backend says; what a manifest says, where the model's files are not here."""
    assert isinstance(backend, TokenBackend)
    try:
        return backend.token_set()
    except BackendError as error:
        if not kept and absent is None:
            raise
        if absent is not None:
            absent.append(f"{error}; the fingerprint of units is not that of a build")
        return TokenSet(
            model=units.model or "",
            model_sha256=units.model_sha256 or "",
            codebook_size=units.codebook_size or 6561,
            frame_rate_hz=units.frame_rate_hz or 25.0,
            num_codebooks=units.codebooks or 1,
        )


def _agreed(units: Units, given: TokenSet) -> Units:
    """The settings with what the voices' model says. Raises SettingsError where they differ."""
    found = {
        "model": given.model,
        "model_sha256": given.model_sha256 or None,
        "codebook_size": given.codebook_size,
        "frame_rate_hz": given.frame_rate_hz,
        "codebooks": given.num_codebooks,
    }
    for name, value in found.items():
        wanted = getattr(units, name)
        if None not in (wanted, value) and wanted != value:
            raise SettingsError(
                f"units.{name}: the job wants {wanted}, the voices' model gives {value}; correct "
                "it, or leave it out"
            )
    if AUDIO_RATE_HZ % given.frame_rate_hz:
        raise SettingsError(
            f"units.backend own: {given.frame_rate_hz:g} tokens per second are no whole number of "
            f"samples each at {AUDIO_RATE_HZ} Hz; take another model, {CURE}"
        )
    return units.model_copy(update=found)


def _words(item: TokenSet) -> str:
    return (
        f"{item.codebook_size} codes at {item.frame_rate_hz:g} Hz of {item.model} "
        f"{item.model_sha256[:8]}"
    )
