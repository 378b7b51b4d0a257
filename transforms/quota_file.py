"""Reads the quotas of a voice bank, and tries them on every place of the bank.

quotas:
  - { by: gender, shares: { f: 0.5, m: 0.5 } }
  - { by: accent, langs: [en], splits: [train], shares: { Scottish: 0.3, American: 0.7 } }
"""

import difflib
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

from schemas.errors import SettingsError
from transforms.quotas import ATTRIBUTES, Quota
from transforms.voices import ROLES, SPLITS, VoiceBank, candidates, lineup

KEYS: Final = ("role", "by", "langs", "splits", "shares")
ROUNDING: Final = 1e-6  # shares are written with few digits


def with_quotas(bank: VoiceBank, told: object, path: Path) -> VoiceBank:
    """The bank with its quotas. Raises SettingsError for what means nothing or cannot be met."""
    where = f"voice bank {path}"
    if not isinstance(told, list):
        raise SettingsError(f"{where}: `quotas` is {told!r}, wants a list of quotas")
    read = [
        _quota(entry, f"{where}: quota {number}", bank)
        for number, entry in enumerate(told, start=1)
    ]
    read.sort(key=lambda quota: (quota.by, quota.role, quota.langs, quota.splits))
    made = replace(bank, quotas=tuple(read))
    covering: dict[tuple[str, str, str, str], Quota] = {}
    for quota in made.quotas:
        places = [place for place in product(ROLES, bank.langs, SPLITS) if quota.covers(*place)]
        if not any(candidates(bank, *place) for place in places):
            raise SettingsError(
                f"{where}: the quota by {quota.by} covers no voice: no {quota.role} voice speaks "
                f"{' or '.join(quota.langs or bank.langs)} in {' or '.join(quota.splits)}"
            )
        for place in places:
            if covering.setdefault((quota.by, *place), quota) is not quota:
                role, lang, split = place
                raise SettingsError(
                    f"{where}: two quotas by {quota.by} for {role} voices of {lang!r} in {split}; "
                    "keep one, or tell them apart by `langs` or `splits`"
                )
    try:
        for place in product(ROLES, bank.langs, SPLITS):
            lineup(made, *place)
    except SettingsError as error:
        raise SettingsError(str(error).replace("voice bank", where, 1)) from error
    return made


def _quota(entry: object, where: str, bank: VoiceBank) -> Quota:
    if not isinstance(entry, dict):
        raise SettingsError(f"{where} is {entry!r}, wants keys such as by and shares")
    for key in entry:
        if key not in KEYS:
            raise SettingsError(f"{where}: unknown key `{key}`: {_near(key, KEYS)}")
    for key in ("by", "shares"):
        if key not in entry:
            raise SettingsError(f"{where}: `{key}` is missing; every quota wants it")
    by = entry["by"]
    if by not in ATTRIBUTES:
        raise SettingsError(f"{where}: `by` is {by!r}: {_near(by, ATTRIBUTES)}")
    role = entry.get("role", "user")
    if role not in ROLES:
        raise SettingsError(f"{where}: `role` is {role!r}, wants one of {', '.join(ROLES)}")
    return Quota(
        by=by,
        shares=_shares(entry["shares"], where),
        role=role,
        langs=_some(entry, "langs", bank.langs, where) if "langs" in entry else (),
        splits=_some(entry, "splits", SPLITS, where) if "splits" in entry else SPLITS,
    )


def _some(
    entry: dict[str, object], key: str, allowed: tuple[str, ...], where: str
) -> tuple[str, ...]:
    value = entry[key]
    if (
        not isinstance(value, list)
        or not value
        or any(item not in allowed for item in value)
        or len(set(value)) != len(value)
    ):
        raise SettingsError(
            f"{where}: `{key}` is {value!r}, wants a list of some of {', '.join(allowed)}, each at "
            "most once"
        )
    return tuple(word for word in allowed if word in value)


def _shares(told: object, where: str) -> tuple[tuple[str, float], ...]:
    if not isinstance(told, dict) or not told:
        raise SettingsError(
            f"{where}: `shares` is {told!r}, wants a share for each value, such as "
            "{f: 0.5, m: 0.5}"
        )
    for value, share in told.items():
        if not isinstance(value, str):
            raise SettingsError(
                f"{where}: `shares` has the value {value!r}, wants text (in quotes where YAML "
                "reads it as something else)"
            )
        if isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0:
            raise SettingsError(f"{where}: the share of {value!r} is {share!r}, wants 0 to 1")
    total = math.fsum(told.values())
    if not abs(total - 1) <= ROUNDING:
        percent = " (shares are fractions: 0.5 for 50 %)" if abs(total - 100) < 1 else ""
        raise SettingsError(f"{where}: `shares` add up to {total:.6g}, wants 1{percent}")
    return tuple(sorted((value, share / total) for value, share in told.items()))


def _near(word: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"it wants {', '.join(known)}"
