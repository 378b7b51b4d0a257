"""A gate: bounds on one measure, or the distance from what is usual that is still accepted."""

from dataclasses import dataclass
from typing import Any, Literal

from schemas.utterance import value_of
from transforms.norms import Norms, Per

Side = Literal["both", "low", "high"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Bounds, inclusive, on one measure; ``roles``, ``langs`` and ``voices`` are empty for all.

    ``outlier_mad`` is how many deviations (1.4826 MAD, transforms/norms.py) a value may be from the
    median of its voice or language, and ``tolerance`` how far in the measure's unit it may be in
    any case. What was not taken, and what has no norm, passes.
    """

    measure: str
    min: float | None = None
    max: float | None = None
    outlier_mad: float | None = None
    per: Per = "voice"
    side: Side = "both"
    tolerance: float = 0.0
    roles: tuple[str, ...] = ()
    langs: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()

    def judge(self, utterance: dict[str, Any], norms: Norms | None = None) -> str | None:
        """What is wrong, in words; None if it passes or the measure was not taken."""
        if not self.covers(utterance["role"], utterance["lang"], utterance.get("voice", "")):
            return None
        value = value_of(utterance["measures"], self.measure)
        if value is None:
            return None
        if self.min is not None and value < self.min:
            return f"{value:.4g} is under {self.min:g}"
        if self.max is not None and value > self.max:
            return f"{value:.4g} is over {self.max:g}"
        return self._outlier(value, utterance, norms)

    def _outlier(self, value: float, utterance: dict[str, Any], norms: Norms | None) -> str | None:
        norm = None if norms is None else norms.of(self.measure, self.per, utterance)
        if self.outlier_mad is None or norm is None:
            return None
        off = value - norm.median
        if (off < 0 and self.side == "high") or (off > 0 and self.side == "low"):
            return None
        if abs(off) <= max(self.outlier_mad * norm.deviation, self.tolerance):
            return None
        usual = utterance["voice"] if self.per == "voice" and utterance["voice"] else "the language"
        return (
            f"{value:.4g} is {abs(off) / norm.deviation:.1f} deviations "
            f"{'over' if off > 0 else 'under'} the median of {usual}, {norm.median:.4g}"
        )

    def covers(self, role: str, lang: str, voice: str) -> bool:
        """Whether the gate looks at such utterances."""
        scopes = ((self.roles, role), (self.langs, lang), (self.voices, voice))
        return all(not names or value in names for names, value in scopes)

    def bounds(self) -> str:
        """The rule in words: "0.3 to 45", "at most 2", "at most 6 deviations from the voice's"."""
        said = []
        if self.min is not None and self.max is not None:
            said.append(f"{self.min:g} to {self.max:g}")
        elif self.min is not None:
            said.append(f"at least {self.min:g}")
        elif self.max is not None:
            said.append(f"at most {self.max:g}")
        if self.outlier_mad is not None:
            where = {"both": "from", "low": "under", "high": "over"}[self.side]
            whose = "voice" if self.per == "voice" else "language"
            said.append(f"at most {self.outlier_mad:g} deviations {where} the {whose}'s median")
        return ", ".join(said)

    def identity(self) -> list[object]:
        """All that changes a verdict."""
        scopes = [sorted(names) for names in (self.roles, self.langs, self.voices)]
        rule = [self.outlier_mad, self.per, self.side, self.tolerance]
        return [self.measure, self.min, self.max, rule, *scopes]
