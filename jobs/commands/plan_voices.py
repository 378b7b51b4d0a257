"""For `voxmill plan`: the share of the draws that each voice is expected to get."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from transforms.voices import ROLES, SPLITS, Lineup, VoiceBank, lineup

ALWAYS = "gender"  # told with or without a quota


@dataclass(frozen=True)
class Expected:
    """One place of a bank with a choice of voices; ``by`` has shares by attribute and value."""

    role: str
    lang: str
    split: str
    here: Lineup
    by: dict[str, dict[str, float]]
    quotas: Sequence[str]  # the attributes that a quota asks for there

    @property
    def line(self) -> str:
        """For a terminal."""
        told = []
        for attribute, shares in self.by.items():
            listed = ", ".join(f"{value or 'none'} {share:.1%}" for value, share in shares.items())
            told.append(f"{attribute} {listed}" + (" (quota)" if attribute in self.quotas else ""))
        least, most = min(self.here.shares), max(self.here.shares)
        told.append(f"{len(self.here.voices)} voices, {least:.1%} to {most:.1%} each")
        return f"  voices           {self.role}, {self.lang}, {self.split}: {'; '.join(told)}"

    @property
    def value(self) -> dict[str, Any]:
        """For programs."""
        voices = zip(self.here.voices, self.here.shares, strict=True)
        return {
            "role": self.role,
            "lang": self.lang,
            "split": self.split,
            "voices": {voice.id: round(share, 6) for voice, share in voices},
            "by": {
                attribute: {value: round(share, 6) for value, share in shares.items()}
                for attribute, shares in self.by.items()
            },
            "quotas": list(self.quotas),
        }


def expected_voices(bank: VoiceBank) -> list[Expected]:
    """Every place of the bank where more than one voice may speak."""
    found = []
    for role, lang, split in product(ROLES, bank.langs, SPLITS):
        here = lineup(bank, role, lang, split)
        if len(here.voices) < 2:
            continue
        quotas = [quota.by for quota in bank.quotas if quota.covers(role, lang, split)]
        by = {name: _shares(here, name) for name in dict.fromkeys((ALWAYS, *quotas))}
        found.append(Expected(role, lang, split, here, by, quotas))
    return found


def _shares(here: Lineup, attribute: str) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    for voice, share in zip(here.voices, here.shares, strict=True):
        parts.setdefault(getattr(voice, attribute), []).append(share)
    return {value: math.fsum(parts[value]) for value in sorted(parts)}
