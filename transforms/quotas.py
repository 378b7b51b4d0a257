"""Quotas of a voice bank: which share of the draws goes to voices of each kind.

A quota scales the weights of voices, so that the expected shares are those asked for in every
language and split that it covers. The voice of a row stays a function of the row (docs/adr/0082).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from schemas.errors import SettingsError

ATTRIBUTES: Final = ("gender", "accent", "style", "emotion", "speaker_id", "backend")
CHANCE: Final = 4.0  # standard deviations that a fair draw hardly leaves
TOLERANCE: Final = 1e-12  # of a share, once fitted
MAX_ROUNDS: Final = 10_000
PATIENCE: Final = 200  # rounds in which the distance must fall by STALLED
STALLED: Final = 0.99
SHOWN: Final = 12  # kinds of voices in a message
Kind: TypeAlias = tuple[str, ...]  # a voice's value under each quota, in their order


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Shares of the draws for ``role`` by the value of an attribute; they add up to 1.

    ``langs`` empty: every language of the bank.
    """

    by: str
    shares: tuple[tuple[str, float], ...]  # sorted by value
    role: str = "user"
    langs: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "eval")

    def covers(self, role: str, lang: str, split: str) -> bool:
        """Whether it holds in that place."""
        return role == self.role and split in self.splits and (not self.langs or lang in self.langs)

    def facts(self) -> dict[str, Any]:
        """As a manifest keeps it; ``quota_from`` reads it."""
        return {
            "role": self.role,
            "by": self.by,
            "langs": list(self.langs),
            "splits": list(self.splits),
            "shares": dict(self.shares),
        }


def quota_from(facts: Mapping[str, Any]) -> Quota:
    """The quota that a manifest holds."""
    return Quota(
        by=facts["by"],
        shares=tuple(sorted(facts["shares"].items())),
        role=facts["role"],
        langs=tuple(facts["langs"]),
        splits=tuple(facts["splits"]),
    )


def excess(share: float, asked: float, num: int) -> float:
    """How far a share of ``num`` samples is off beyond what chance does (CHANCE deviations)."""
    return max(0.0, abs(share - asked) - CHANCE * math.sqrt(asked * (1 - asked) / max(num, 1)))


def fitted(
    weights: Sequence[float], kinds: Sequence[Kind], quotas: Sequence[Quota], where: str
) -> tuple[float, ...]:
    """The share of each voice, so that every quota holds; they add up to 1.

    Voices of one kind keep their proportions. For one quota this is its share over the weights of
    its voices; for several, iterative proportional fitting (Deming and Stephan, 1940), which gives
    the shares closest to the weights (by relative entropy). It takes only sums that are rounded
    once (fsum) and single operations of IEEE doubles, so every machine gets the same bits.

    Raises SettingsError where the shares cannot be met; ``where`` says of what.
    """
    _check_values(kinds, quotas, where)
    found = sorted(set(kinds))
    parts: dict[Kind, list[float]] = {kind: [] for kind in found}
    for weight, kind in zip(weights, kinds, strict=True):
        parts[kind].append(weight)
    start = {kind: math.fsum(part) for kind, part in parts.items()}
    mass = dict(start)
    best, since = math.inf, 0
    for _ in range(MAX_ROUNDS):
        for place, quota in enumerate(quotas):
            sums = _sums(mass, place)
            asked = dict(quota.shares)
            for kind in found:
                share, total = asked[kind[place]], sums[kind[place]]
                mass[kind] = mass[kind] * share / total if share and total else 0.0
        off = max(_distances(mass, quotas))
        if off <= TOLERANCE:
            return tuple(
                weight * (mass[kind] / start[kind])
                for weight, kind in zip(weights, kinds, strict=True)
            )
        if off < best * STALLED:
            best, since = off, 0
        elif (since := since + 1) >= PATIENCE:
            break
    raise _not_together(mass, start, kinds, quotas, where)


def _sums(mass: Mapping[Kind, float], place: int) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for kind, value in mass.items():
        parts.setdefault(kind[place], []).append(value)
    return {value: math.fsum(found) for value, found in parts.items()}


def _distances(mass: Mapping[Kind, float], quotas: Sequence[Quota]) -> list[float]:
    found = []
    for place, quota in enumerate(quotas):
        sums = _sums(mass, place)
        found += [abs(sums.get(value, 0.0) - share) for value, share in quota.shares]
    return found


def _check_values(kinds: Sequence[Kind], quotas: Sequence[Quota], where: str) -> None:
    for place, quota in enumerate(quotas):
        there = {kind[place] for kind in kinds}
        named = dict(quota.shares)
        for value in sorted(there - set(named)):
            raise SettingsError(
                f"{where}: the quota by {quota.by} has no share for {quota.by} {value!r}, which "
                "voices there have; give it one (0: they are not heard there)"
            )
        for value, share in quota.shares:
            if share > 0 and value not in there:
                raise SettingsError(
                    f"{where}: the quota by {quota.by} wants {share:.6g} of {quota.by} {value!r}, "
                    f"and no voice there has it (there are {', '.join(map(repr, sorted(there)))}); "
                    f"{_cure(quota)}"
                )


def _cure(quota: Quota) -> str:
    if quota.role == "assistant":
        return "one assistant voice speaks each language, so write 1 for what it is, or drop this"
    return "add one, or keep the quota to places that have one by its `splits` or `langs`"


def _not_together(
    mass: Mapping[Kind, float],
    start: Mapping[Kind, float],
    kinds: Sequence[Kind],
    quotas: Sequence[Quota],
    where: str,
) -> SettingsError:
    """Says which share stays farthest off, what voices there are, and which get next to nothing."""
    worst, told = -1.0, ""
    for place, quota in enumerate(quotas):
        sums = _sums(mass, place)
        for value, share in quota.shares:
            off = abs(sums.get(value, 0.0) - share)
            if off > worst:
                worst = off
                told = f"{quota.by} {value!r} comes to {sums.get(value, 0.0):.4f} for {share:.4f}"
    names = [" + ".join(map(repr, kind)) for kind in sorted(start)]
    counts = [sum(kind == of for of in kinds) for kind in sorted(start)]
    listed = ", ".join(f"{n} of {name}" for name, n in zip(names, counts, strict=True))
    if len(names) > SHOWN:
        listed = f"{len(names)} kinds of voices"
    total = math.fsum(start.values())
    starved = [
        " + ".join(map(repr, kind))
        for kind in sorted(start)
        if mass[kind] < 1e-3 * start[kind] / total
        and all(dict(q.shares)[value] > 0 for q, value in zip(quotas, kind, strict=True))
    ]
    left = f"; next to nothing is left for {', '.join(starved[:SHOWN])}" if starved else ""
    return SettingsError(
        f"{where}: the quotas by {' and '.join(quota.by for quota in quotas)} cannot hold "
        f"together: at best {told}{left}. The voices there: {listed}; add voices of kinds that are "
        "missing, change the shares, or drop a quota"
    )
