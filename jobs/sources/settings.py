"""What a job says about its source."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

AUTO_LANG: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Where the rows come from and how they are read.

    ``path`` is a local file or folder; ``adapter`` a name of ``adapters.ADAPTERS``; ``license``
    and ``lang`` hold for rows that do not say their own. ``lang`` is an ISO 639-1 code, or
    "auto": zh or en, decided row by row from what the user says.
    """

    path: Path
    adapter: str
    name: str
    license: str
    lang: str = AUTO_LANG
