"""The suite that follows from the schema, the gates and the limits of a job."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.expectations.suite import Expected, Suite
from pipelines.expectations.tables import COLUMNS
from schemas.measures import BY_NAME
from transforms.gate import Gate

ALWAYS = ("key", "split", "lang", "source", "role", "voice", "speaker_id", "text", "spoken_text")
MAX_VOICE_SHARE = 0.9  # of the users' turns
QUOTA_EXCESS = 0.02  # of a share, beyond chance: gates reject some voices more than others


def default_suite(gates: Iterable[Gate], limits: Mapping[str, float]) -> Suite:
    """What every corpus of the job should keep. Gates hold again of what was accepted."""
    return Suite(
        "the generated suite",
        {
            "corpus": tuple(_corpus(limits)),
            "samples": tuple(_samples()),
            "turns": (*_turns(), *_gated(gates)),
            "quotas": (
                _of(
                    "be_between",
                    "excess",
                    max_value=QUOTA_EXCESS,
                    because="the bank's quotas hold, beyond chance",
                ),
            ),
            "rejected": (
                _of("not_be_null", "id"),
                _of("be_unique", "id"),
                _of("be_between", "num_reasons", min_value=1, because="none without a reason"),
            ),
            "failed": (
                _of("not_be_null", "id"),
                _of("be_unique", "id"),
                _of("not_be_null", "error_class", because="none without its error"),
            ),
        },
    )


def _of(what: str, column: str, because: str = "", **kwargs: Any) -> Expected:  # noqa: ANN401 - JSON
    return {
        "type": f"expect_column_values_to_{what}",
        "kwargs": {"column": column, **kwargs},
        "because": because,
    }


def _corpus(limits: Mapping[str, float]) -> Iterable[Expected]:
    accepted = limits.get("min_accepted_fraction", 0.0)
    yield _of("be_between", "acceptance_rate", min_value=accepted, because="limits of the job")
    failed = limits.get("max_failed_fraction", 1.0)
    yield _of("be_between", "failure_rate", max_value=failed, because="limits of the job")
    yield _of("be_between", "hours", min_value=0.0, strict_min=True, because="there is speech")
    yield _of("be_between", "keys_in_both_splits", max_value=0, because="the splits are disjoint")
    yield _of(
        "be_between",
        "largest_user_voice_share",
        max_value=MAX_VOICE_SHARE,
        because="users sound different; mend it for a bank of one voice",
    )


def _samples() -> Iterable[Expected]:
    for column in ("key", "shard", "split", "lang", "source"):
        yield _of("not_be_null", column)
    for column, kind in COLUMNS["samples"].items():
        yield _of("be_of_type", column, type_=kind)
    yield _of("be_unique", "key")
    yield _of("be_in_set", "split", value_set=["train", "eval"])
    yield _of("be_between", "duration_s", min_value=0.0, strict_min=True)
    yield _of("be_between", "num_turns", min_value=1)


def _turns() -> Iterable[Expected]:
    for column in ALWAYS:
        yield _of("not_be_null", column)
    yield _of("be_in_set", "role", value_set=["user", "assistant"])
    yield {
        "type": "expect_compound_columns_to_be_unique",
        "kwargs": {"column_list": ["key", "turn"]},
        "because": "",
    }
    yield _of("be_between", "duration_s", min_value=0.0, strict_min=True)
    for name in ("clipped_fraction", "dc_offset"):
        yield _of("not_be_null", name, because="always taken")
    for info in BY_NAME.values():
        if info.unit in ("fraction", "0 or 1"):
            yield _of("be_between", info.name, min_value=0.0, max_value=1.0, because=info.unit)


def _gated(gates: Iterable[Gate]) -> Iterable[Expected]:
    """The bounds of each gate for the turns that it judges, where they can be said in one row."""
    for gate in gates:
        scopes = (("lang", gate.langs), ("role", gate.roles), ("voice", gate.voices))
        conditions = [(column, names) for column, names in scopes if names]
        bounded = gate.min is not None or gate.max is not None
        if not bounded or len(conditions) > 1 or any(len(names) > 1 for _, names in conditions):
            continue
        scope: dict[str, Any] = {}
        if conditions:
            column, (name,) = conditions[0]
            scope = {
                "row_condition": f'col("{column}")=="{name}"',
                "condition_parser": "great_expectations",
            }
        bounds = {"min_value": gate.min, "max_value": gate.max}
        known = {key: value for key, value in bounds.items() if value is not None}
        yield _of("be_between", gate.measure, because="a gate of the job", **known, **scope)
