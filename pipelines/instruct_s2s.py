"""The main pipeline: text instructions to paired speech and units.

    (pick) -> duplicates -> dedup -> split -> rewrite -> respond -> check_speakable -> explode
    -> cast -> synthesize -> listen -> (transcribe) -> (rate) -> (compare) -> pace
    -> (augment) -> measure -> kmeans -> units -> measure_units -> (norms) -> gather
    -> measure_pairs -> select

Where no answers are spoken (an evaluation set), ``respond`` gives none, there are no pairs to
measure, and no units unless the user's turns get them.

Fit steps are ``duplicates``, ``pace``, ``kmeans`` and, where a gate asks for outliers, ``norms``;
shards are assembled from what select accepts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.graph import Pipeline
from pipelines.listening import listening
from pipelines.unit_nodes import UnitPlan, mfcc_nodes, unit_nodes
from schemas.errors import SettingsError
from transforms.ask_respond import AskRespond
from transforms.ask_rewrite import AskRewrite
from transforms.ask_synthesize import AskSynthesize
from transforms.augment import Augment
from transforms.backends import mfcc
from transforms.backends.tts import SpeechBackend
from transforms.backends.tts_endpoint import SpeechEndpoint
from transforms.cast import Cast
from transforms.check_speakable import CheckSpeakable
from transforms.checks import NO_CHECKS, Checks, check_gates
from transforms.dedup import Dedup, FindDuplicates
from transforms.explode import ExplodeTurns
from transforms.finish import Finish
from transforms.gate import Gate
from transforms.import_units import NoUnits
from transforms.measure import Measured
from transforms.measure_pairs import MeasurePairs
from transforms.measure_units import MeasureUnits
from transforms.no_answers import NoAnswers
from transforms.own_units import OwnUnits
from transforms.pace import FitPace
from transforms.pick import Pick
from transforms.respond import Respond
from transforms.rewrite import Rewrite
from transforms.select import GATHER, norms_for, selecting
from transforms.split import EVAL, TRAIN, Split
from transforms.step import Node, Resources
from transforms.synthesize import Synthesize
from transforms.text.speakable import Limits
from transforms.voices import Voice, VoiceBank, candidates

NAME = "instruct_s2s"
SPEAKING = ("user", "assistant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that the pipeline's steps are told, and that they share."""

    seed: int
    duplicates: FindDuplicates
    eval_fraction: float
    rewrite: Rewrite | AskRewrite
    respond: Respond | AskRespond | NoAnswers
    limits: Limits
    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]
    clusters: int
    max_frames: int
    unit_roles: tuple[str, ...]
    gates: tuple[Gate, ...]
    min_pairs: int
    checks: Checks = NO_CHECKS
    augment: Augment | None = None
    units: UnitPlan | None = None  # None: MFCC, by clusters, max_frames and unit_roles
    pick: Pick | None = None
    finish: Finish | None = None

    @property
    def answers(self) -> bool:
        """Whether answers are spoken."""
        return not isinstance(self.respond, NoAnswers)


def instruct_s2s(recipe: Recipe) -> Pipeline:
    """The checked DAG. Raises SettingsError for a bank or a gate that cannot work."""
    check_bank(recipe.bank, recipe.eval_fraction, SPEAKING if recipe.answers else SPEAKING[:1])
    check_gates(
        recipe.gates,
        recipe.checks,
        voices={voice.id for voice in recipe.bank.voices},
        unit_roles=[role for role in recipe.unit_roles if recipe.answers or role == "user"],
        pairs=recipe.answers,
    )
    return Pipeline(
        NAME,
        (
            *((recipe.pick,) if recipe.pick is not None else ()),
            recipe.duplicates,
            Dedup(),
            Split(seed=recipe.seed, eval_fraction=recipe.eval_fraction),
            recipe.rewrite,
            recipe.respond,
            CheckSpeakable(
                limits=recipe.limits,
                min_pairs=recipe.min_pairs,
                langs=recipe.bank.langs,
                answers=recipe.answers,
            ),
            ExplodeTurns(answers=recipe.answers),
            Cast(seed=recipe.seed, bank=recipe.bank, backends=recipe.backends),
            *spoken(recipe),
            FitPace(seed=recipe.seed),
            *((recipe.augment,) if recipe.augment is not None else ()),
            Measured(),
            *units(recipe),
            MeasureUnits(),
            *norms_for(recipe.gates, recipe.seed),
            GATHER,
            *((MeasurePairs(),) if recipe.answers else ()),
            selecting(recipe.gates, recipe.min_pairs, answers=recipe.answers),
        ),
    )


def spoken(recipe: Recipe) -> tuple[Node, ...]:
    """The steps that speak and that listen, with the same ears."""
    checks = recipe.checks
    used = {voice.backend for voice in recipe.bank.voices}
    backends = [item for item in recipe.backends if item.name in used]
    asks = any(isinstance(item, SpeechEndpoint) for item in backends)
    rows = max((int(getattr(item, "batch_rows", 1)) for item in backends), default=1)
    gpus = max((float(getattr(item, "gpus", 0.0)) for item in backends), default=0.0)
    return (
        (AskSynthesize if asks else Synthesize)(
            bank=recipe.bank,
            backends=recipe.backends,
            sample_rate_hz=mfcc.SAMPLE_RATE_HZ,
            seed=recipe.seed,
            attempts=checks.attempts,
            retry_below=checks.retry_below,
            aligner=checks.aligner,
            finish=recipe.finish,
            own_voices=tuple(voice.id for voice in _with_tokens(recipe)),
            resources=Resources(batch_rows=rows, gpus=gpus),
        ),
        *listening(recipe.checks, recipe.seed, recipe.bank.unrecognizable),
    )


def _with_tokens(recipe: Recipe) -> tuple[Voice, ...]:
    """The voices whose models' tokens become units."""
    if recipe.units is None or not isinstance(recipe.units.step, OwnUnits):
        return ()
    return own_voices(recipe.bank, recipe.units.step.roles)


def own_voices(bank: VoiceBank, roles: Iterable[str]) -> tuple[Voice, ...]:
    """The voices that speak in one of ``roles``, in the order of their ids."""
    wanted = set(roles)
    return tuple(voice for voice in bank.voices if wanted & set(voice.roles))


def units(recipe: Recipe) -> tuple[Node, ...]:
    """The steps that make units, or that make none where no turn is to have them."""
    if not recipe.answers and "user" not in recipe.unit_roles:
        return (NoUnits(),)
    if recipe.units is not None:
        return unit_nodes(recipe.units)
    return mfcc_nodes(recipe.seed, recipe.clusters, recipe.max_frames, recipe.unit_roles)


def check_bank(bank: VoiceBank, eval_fraction: float, roles: tuple[str, ...] = SPEAKING) -> None:
    """Raise SettingsError if a language of the bank lacks a voice that a row could need."""
    shares = ((TRAIN, 1.0 - eval_fraction), (EVAL, eval_fraction))
    for lang in bank.langs:
        for split in (name for name, share in shares if share > 0):
            for role in roles:
                if not candidates(bank, role, lang, split):  # type: ignore[arg-type]
                    raise SettingsError(
                        f"voice bank: no voice speaks '{lang}' as {role} in the {split} split; add "
                        f"one, or set splits.eval_fraction to {'0' if split == EVAL else 'under 1'}"
                    )
