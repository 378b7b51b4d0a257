"""What a job says about its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.store import StoreAddress, StoreOptions
from schemas.unitset import UnitSet

AUTO_LANG: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Where the rows come from and how they are read.

    ``path`` is a local file or folder; ``adapter`` a name of ``adapters.ADAPTERS``; ``license``
    and ``lang`` hold for rows that do not say their own. ``lang`` is an ISO 639-1 code, or
    "auto": zh or en, decided row by row from what the user says.

    For sources with audio: ``version`` of a Voxmill corpus (None: the current one); ``members`` of
    a WebDataset sample and ``columns`` of a Parquet row, by what they hold; ``audio_folder``, to
    which paths in rows are relative; ``unit_set``, under whose contract units are imported.
    """

    path: Path | str  # a text is an address or a pattern with braces
    adapter: str
    name: str
    license: str
    lang: str = AUTO_LANG
    version: int | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    audio_folder: str | None = None
    unit_set: UnitSet | None = None
    categories: Path | str | None = None  # of adapter alpaca_eval: the file of its questions
    options: StoreOptions = field(default_factory=StoreOptions)  # how a bucket is reached

    def at(self, place: str | Path) -> StoreAddress:
        """A place in the same store as the source."""
        return StoreAddress(str(place), self.options)
