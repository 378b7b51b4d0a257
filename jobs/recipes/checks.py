"""What the sections `checks`, `synthesize` and `augment` of a job mean: listeners and effects."""

from jobs.recipes.listen import predictor_of, recognizer_of
from jobs.settings.check import Augment, Checks, Synthesize
from transforms import augment, checks
from transforms.backends.pocketsphinx import PocketsphinxAligner
from transforms.backends.silero import Silero
from transforms.finish import Finish


def checks_of(settings: Checks, synthesize: Synthesize | None = None) -> checks.Checks:
    """The backends that the settings ask for; without ``synthesize``, nothing is said again."""
    synthesize = synthesize or Synthesize(attempts=1, retry_below=0.0)
    return checks.Checks(
        aligner=PocketsphinxAligner() if settings.align else None,
        recognizer=recognizer_of(settings.asr, "asr") if settings.asr_fraction > 0 else None,
        second=None if settings.second is None else recognizer_of(settings.second, "second"),
        rule=settings.asr_rule,
        agree_max=settings.asr_agree_max,
        predictor=predictor_of(settings.mos),
        mos_fraction=0.0 if settings.mos is None else settings.mos.fraction,
        detector=Silero() if settings.vad else None,
        asr_fraction=settings.asr_fraction,
        attempts=synthesize.attempts,
        retry_below=synthesize.retry_below,
    )


def finish_of(settings: Synthesize) -> Finish | None:
    """What is done to a spoken clip, or None where nothing is."""
    if settings.pad_s is None and settings.loudness_lufs is None:
        return None
    return Finish(
        pad_s=settings.pad_s,
        loudness_lufs=settings.loudness_lufs,
        detector=None if settings.pad_s is None else Silero(),
    )


def augment_of(settings: Augment, seed: int) -> augment.Augment | None:
    """The step, or None where nothing is ever applied. Raises SettingsError for a bad range."""
    effects = augment.Effects(**settings.model_dump(exclude={"roles"}))
    if not (effects.any and settings.roles):
        return None
    return augment.Augment(seed=seed, effects=effects, roles=settings.roles)
