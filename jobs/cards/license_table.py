"""What known licenses ask of a corpus that is made with what they cover.

A table for orientation, and no legal advice: a license that is not here is unknown, and blocks
publication until somebody says what it allows. Sources: the licenses' own texts and SPDX's list.
"""

from dataclasses import dataclass
from typing import Final

ATTRIBUTION: Final = "attribution"
SHARE_ALIKE: Final = "share under the same license"
NON_COMMERCIAL: Final = "non-commercial use only"
NO_DERIVATIVES: Final = "no derivatives, and speech made from a text is one"
NO_TRAINING: Final = "its output may not improve other language models"
NAMED: Final = "models trained on its output must carry its name"
TERMS: Final = "its terms of use pass on"
FORBIDDING: Final = (NO_DERIVATIVES, NO_TRAINING)
MAX_CHARS: Final = 400  # of an expression; what is longer is a text and no license's name


@dataclass(frozen=True)
class Terms:
    """A license: its name on the Hugging Face Hub, and what it asks. ``rank`` orders strictness."""

    hub: str
    rank: int
    asks: tuple[str, ...] = ()


_BY, _SA, _NC = (ATTRIBUTION,), (ATTRIBUTION, SHARE_ALIKE), (ATTRIBUTION, NON_COMMERCIAL)
_NC_SA = (ATTRIBUTION, NON_COMMERCIAL, SHARE_ALIKE)
_GROUPS: Final = (
    # nothing, or a notice
    ("cc0-1.0 pddl unlicense wtfpl", 0, ()),
    ("mit bsd bsd-2-clause bsd-3-clause isc zlib apache-2.0 c-uda", 1, ()),
    ("cdla-permissive-1.0 cdla-permissive-2.0", 1, ()),
    ("odc-by cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0", 2, _BY),
    ("mpl-2.0 epl-1.0 epl-2.0 lgpl-3.0 cdla-sharing-1.0 odbl gfdl", 3, _SA),
    ("cc-by-sa-3.0 cc-by-sa-4.0 gpl-2.0 gpl-3.0 agpl-3.0", 4, _SA),
    # models
    ("llama3.1 llama3.2 llama3.3", 5, (ATTRIBUTION, NAMED)),
    ("gemma openrail bigscience-openrail-m creativeml-openrail-m", 5, (TERMS,)),
    ("llama2 llama3", 8, (ATTRIBUTION, NO_TRAINING)),
    ("cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0", 6, _NC),
    ("cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0", 7, _NC_SA),
    ("cc-by-nd-4.0", 8, (ATTRIBUTION, NO_DERIVATIVES)),
    ("cc-by-nc-nd-3.0 cc-by-nc-nd-4.0", 9, (*_NC, NO_DERIVATIVES)),
)
_OTHER_NAMES: Final = {  # SPDX ids, in lower case, whose name on the Hub is another
    "mit-0": "mit",
    "mit-festival": "mit",  # asks what MIT asks; the Hub has no name for it
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
TABLE: Final = {
    name: Terms(name, rank, asks) for names, rank, asks in _GROUPS for name in names.split()
}


def terms_of(license_id: str) -> Terms | None:
    """What a license, or an expression of several, asks; None if it is not known.

    Of ``A OR B`` the one that asks less, of ``A AND B`` all; brackets bind first, then AND.
    """
    text = " ".join(license_id.lower().split())
    if len(text) > MAX_CHARS:
        return None
    if len(either := _apart(text, "or")) > 1:
        able = [item for item in map(terms_of, either) if item is not None]
        return min(able, key=lambda item: item.rank, default=None)
    if len(parts := _apart(text, "and")) > 1:
        every = [item for item in map(terms_of, parts) if item is not None]
        if len(every) < len(parts):
            return None
        strictest = max(every, key=lambda item: item.rank)
        asks = tuple(dict.fromkeys(ask for item in every for ask in item.asks))
        return Terms(strictest.hub, strictest.rank, asks)
    if text.startswith("(") and text.endswith(")"):
        return terms_of(text[1:-1])
    return TABLE.get(_OTHER_NAMES.get(text, text))


def _apart(text: str, word: str) -> list[str]:
    """What stands between the words outside of all brackets; the whole where these do not pair."""
    found: list[list[str]] = [[]]
    depth = 0
    for item in text.split():
        if depth == 0 and item == word:
            found.append([])
            continue
        depth += item.count("(") - item.count(")")
        if depth < 0:
            return [text]
        found[-1].append(item)
    return [text] if depth else [" ".join(items) for items in found]
