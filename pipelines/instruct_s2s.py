"""The main pipeline: text instructions to paired speech and units.

    duplicates -> dedup -> split -> rewrite -> respond -> check_speakable -> explode -> cast
    -> synthesize -> measure -> kmeans -> units -> gather -> select

Fit steps are ``duplicates`` and ``kmeans``; shards are assembled from what select accepts.
"""

from dataclasses import dataclass

from pipelines.graph import Pipeline
from schemas.errors import SettingsError
from transforms.ask_respond import AskRespond
from transforms.ask_rewrite import AskRewrite
from transforms.backends import mfcc
from transforms.backends.tts import SpeechBackend
from transforms.cast import Cast
from transforms.check_speakable import CheckSpeakable
from transforms.dedup import Dedup, FindDuplicates
from transforms.explode import ExplodeTurns
from transforms.kmeans import FitKmeans
from transforms.measure import NOT_YET, TAKEN_HERE, Measured
from transforms.respond import Respond
from transforms.rewrite import Rewrite
from transforms.select import GATHER, Gate, Select
from transforms.split import EVAL, TRAIN, Split
from transforms.synthesize import Synthesize
from transforms.text.speakable import Limits
from transforms.units import MfccUnits
from transforms.voices import VoiceBank, candidates

NAME = "instruct_s2s"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that the pipeline's steps are told, and that they share."""

    seed: int
    duplicates: FindDuplicates
    eval_fraction: float
    rewrite: Rewrite | AskRewrite
    respond: Respond | AskRespond
    limits: Limits
    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]
    clusters: int
    max_frames: int
    unit_roles: tuple[str, ...]
    gates: tuple[Gate, ...]
    min_pairs: int


def instruct_s2s(recipe: Recipe) -> Pipeline:
    """The checked DAG. Raises SettingsError for a bank or a gate that cannot work."""
    check_bank(recipe.bank, recipe.eval_fraction)
    check_gates(recipe.gates)
    return Pipeline(
        NAME,
        (
            recipe.duplicates,
            Dedup(),
            Split(seed=recipe.seed, eval_fraction=recipe.eval_fraction),
            recipe.rewrite,
            recipe.respond,
            CheckSpeakable(
                limits=recipe.limits, min_pairs=recipe.min_pairs, langs=recipe.bank.langs
            ),
            ExplodeTurns(),
            Cast(seed=recipe.seed, bank=recipe.bank, backends=recipe.backends),
            Synthesize(
                bank=recipe.bank, backends=recipe.backends, sample_rate_hz=mfcc.SAMPLE_RATE_HZ
            ),
            Measured(),
            FitKmeans(
                seed=recipe.seed,
                num_clusters=recipe.clusters,
                max_frames=recipe.max_frames,
                roles=recipe.unit_roles,
            ),
            MfccUnits(roles=recipe.unit_roles, num_clusters=recipe.clusters),
            GATHER,
            Select(gates=recipe.gates, min_pairs=recipe.min_pairs),
        ),
    )


def check_bank(bank: VoiceBank, eval_fraction: float) -> None:
    """Raise SettingsError if a language of the bank lacks a voice that a row could need."""
    shares = ((TRAIN, 1.0 - eval_fraction), (EVAL, eval_fraction))
    for lang in bank.langs:
        for split in (name for name, share in shares if share > 0):
            for role in ("user", "assistant"):
                if not candidates(bank, role, lang, split):  # type: ignore[arg-type]
                    raise SettingsError(
                        f"voice bank: no voice speaks '{lang}' as {role} in the {split} split; add "
                        f"one, or set splits.eval_fraction to {'0' if split == EVAL else 'under 1'}"
                    )


def check_gates(gates: tuple[Gate, ...]) -> None:
    """Raise SettingsError for a gate on a measure that nothing here takes."""
    for gate in gates:
        if gate.measure in NOT_YET:
            raise SettingsError(
                f"gates: no backend of this version measures {gate.measure}, so a gate on it could "
                f"judge no row; remove it, or gate on one of {list(TAKEN_HERE)}"
            )
        if gate.measure not in TAKEN_HERE:
            raise SettingsError(
                f"gates: there is no measure '{gate.measure}'; wanted one of {list(TAKEN_HERE)}"
            )
        if gate.min is None and gate.max is None:
            raise SettingsError(f"gates: {gate.measure} needs a min or a max")
