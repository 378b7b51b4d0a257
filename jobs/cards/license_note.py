"""The license section of a dataset card."""

from jobs.cards.license import Granted, as_code
from jobs.cards.license_table import ATTRIBUTION, NON_COMMERCIAL, SHARE_ALIKE

MAX_NAMES = 20  # of parts alike


def license_words(granted: Granted) -> str:
    """What follows from the parts, part by part, and what it asks of whoever passes it on."""
    parts = [_outcome(granted), _table(granted)]
    if NON_COMMERCIAL in granted.restrictions:
        parts.append("**Non-commercial use only**: at least one part is licensed so.")
    if SHARE_ALIKE in granted.restrictions:
        parts.append("What is made from it must be shared under the same license.")
    if ATTRIBUTION in granted.restrictions:
        parts.append("It asks for attribution: name the sources above where you use it.")
    parts.append(
        "Texts, spoken texts, audio and units are made from the source rows, so the rows' licenses "
        "hold for them; each sample's `KEY.json` names its own. This follows from a table of known "
        "licenses (`jobs/cards/license_table.py`) and is no legal advice."
    )
    return "\n\n".join(parts)


def _outcome(granted: Granted) -> str:
    if granted.unknown:
        names = ", ".join(as_code(name) for name in granted.unknown[:20])
        return (
            f"**license: unknown - may not be published.** Nothing known covers {names}. Find out "
            "what they allow, and say it: `voxmill card URI --license NAME=cc-by-4.0`."
        )
    if granted.forbidding:
        names = "; ".join(as_code(name) for name in granted.forbidding[:20])
        return f"**This corpus may not be published**: {names}."
    asks = f"; it asks for {', '.join(granted.restrictions)}" if granted.restrictions else ""
    return f"**{granted.license}**, the most restrictive of what it is made with{asks}."


def _table(granted: Granted) -> str:
    lines = ["| part | name | license | asks for | covers |", "| --- | --- | --- | --- | --- |"]
    for part, names in granted.alike():
        if not part.binds:
            asks = "covers the program, not its sound"
        elif part.terms is None:
            asks = "unknown"
        else:
            asks = ", ".join(part.terms.asks) or "a notice at most"
        named = ", ".join(as_code(name) for name in names[:MAX_NAMES])
        named += f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        cells = [part.kind, named, as_code(part.license), asks]
        lines.append("| " + " | ".join([*cells, part.covers]) + " |")
    return "\n".join(lines)
