"""What a corpus may say of its license, from the licenses of its source rows and voices."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

# SPDX ids, in lower case, whose name on the Hugging Face Hub is another or that the Hub knows
SAME: Final = (
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 "
    "cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 wtfpl epl-1.0 epl-2.0 mpl-2.0 isc zlib unlicense"
).split()
RENAMED: Final = {
    "gpl-2.0-only": "gpl-2.0",
    "gpl-2.0-or-later": "gpl-2.0",
    "gpl-3.0-only": "gpl-3.0",
    "gpl-3.0-or-later": "gpl-3.0",
    "agpl-3.0-only": "agpl-3.0",
    "agpl-3.0-or-later": "agpl-3.0",
    "lgpl-3.0-only": "lgpl-3.0",
    "lgpl-3.0-or-later": "lgpl-3.0",
    "gfdl-1.3-only": "gfdl",
    "gfdl-1.3-or-later": "gfdl",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
    "c-uda-1.0": "c-uda",
}
HUB: Final = {**{name: name for name in SAME}, **RENAMED}
UNKNOWN: Final = ("", "unknown", "other", "none", "noassertion")


def is_known(license_id: str) -> bool:
    """Whether a row says under which license it is."""
    return license_id.strip().lower() not in UNKNOWN


def hub_license(licenses: Mapping[str, int]) -> dict[str, str]:
    """The license keys of a dataset card: one id that the Hub knows, else ``other`` with a name."""
    names = sorted(name for name in licenses if is_known(name))
    if not names:
        return {"license": "unknown"}
    if len(names) < len(licenses):
        return {"license": "other", "license_name": "partly-unknown"}
    if len(names) > 1:
        return {"license": "other", "license_name": "several-see-each-sample"}
    known = HUB.get(names[0].lower())
    if known is not None:
        return {"license": known}
    return {"license": "other", "license_name": _slug(names[0])}


def license_words(licenses: Mapping[str, int], voices: Sequence[str]) -> str:
    """The license section: what the sources' licenses ask of whoever passes the corpus on."""
    parts = [
        "Texts, spoken texts, audio and units are made from the source rows, so the rows' licenses "
        "hold for them. Each sample's `KEY.json` names its own.",
        "\n".join(f"- {as_code(name)}: {n:,} samples" for name, n in sorted(licenses.items())),
    ]
    unknown = sum(number for name, number in licenses.items() if not is_known(name))
    if unknown:
        parts.append(
            f"**Warning: {unknown:,} samples have no known license.** Find out what their source "
            "allows before you pass them on, or leave them out by `license` in `KEY.json`."
        )
    words = {word for name in licenses for word in name.upper().split("-")}
    if "NC" in words:
        parts.append("**Some rows are licensed for non-commercial use only.**")
    if "SA" in words or any(name.upper().startswith(("GPL", "ODBL")) for name in licenses):
        parts.append("Some rows ask that what is made from them is shared under the same license.")
    if "ND" in words:
        parts.append(
            "**Warning: some rows allow no derivatives, and speech made from a text is one.** Ask "
            "their owners before you pass such samples on."
        )
    if any(name.upper().startswith("CC-BY") for name in licenses):
        parts.append("Some rows ask for attribution: name their sources where you use them.")
    if voices:
        names = ", ".join(map(as_code, voices))
        parts.append(
            f"The voices that are heard are licensed {names}. The licenses of synthesis programs "
            "cover the programs; whether a voice's license says more about its audio, see there."
        )
    return "\n\n".join(part for part in parts if part)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") or "unnamed"


def as_code(text: str) -> str:
    """A word from a user as Markdown code: inert, and on one line."""
    shown = "".join(" " if char in "`|<>" or not char.isprintable() else char for char in text)
    return f"`{shown.strip()}`" if shown.strip() else "(none given)"
