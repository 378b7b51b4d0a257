"""The steps that listen to speech: each kind of listener in one of its own, and their sum."""

from transforms.ask_transcribe import AskTranscribe
from transforms.backends.asr_endpoint import TranscriptionEndpoint
from transforms.checks import Checks
from transforms.compare import Compare
from transforms.listen import Listen
from transforms.rate import Rate
from transforms.step import Node, Resources
from transforms.transcribe import Transcribe


def listening(
    checks: Checks, seed: int, unrecognizable: frozenset[str] = frozenset()
) -> tuple[Node, ...]:
    """Listen, and what the checks ask for besides: a changed one redoes no other."""
    found: list[Node] = [
        Listen(aligner=checks.aligner, detector=checks.detector, unrecognizable=unrecognizable)
    ]
    if checks.recognizers:
        asks = any(isinstance(item, TranscriptionEndpoint) for item in checks.recognizers)
        found.append(
            (AskTranscribe if asks else Transcribe)(
                seed=seed,
                fraction=checks.asr_fraction,
                recognizers=checks.recognizers,
                unrecognizable=unrecognizable,
                resources=Resources(
                    batch_rows=max(item.batch_rows for item in checks.recognizers),
                    gpus=max(item.gpus for item in checks.recognizers),
                ),
            )
        )
    rates = checks.predictor is not None and checks.mos_fraction > 0
    if checks.predictor is not None and rates:
        found.append(Rate(seed=seed, fraction=checks.mos_fraction, predictor=checks.predictor))
    if checks.recognizers or rates:
        found.append(
            Compare(
                transcribed=bool(checks.recognizers),
                rated=rates,
                rule=checks.rule,
                agree_max=checks.agree_max,
            )
        )
    return tuple(found)
