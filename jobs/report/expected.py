"""The results of a snapshot's expectations, as its build stored them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.words import clipped
from schemas.snapshot import Manifest
from schemas.store import Store

PLACES: Final = ("expectations/v{version:06d}.json", "expectations.json")
MAX_BYTES: Final = 4_000_000
MAX_SHOWN: Final = 200


@dataclass(frozen=True)
class Result:
    """One expectation: on what, whether it held, and what was seen."""

    table: str
    name: str
    on: str
    wanted: str
    seen: str
    held: bool


@dataclass(frozen=True)
class Expected:
    """All results, those that failed first; ``failed`` count those that gate publication."""

    results: Sequence[Result]

    @property
    def total(self) -> int:
        """How many expectations there were."""
        return len(self.results)

    @property
    def failed(self) -> int:
        """How many did not hold."""
        return sum(not item.held for item in self.results)

    @property
    def shown(self) -> Sequence[Result]:
        """The first MAX_SHOWN."""
        return self.results[:MAX_SHOWN]


def read_expected(store: Store, manifest: Manifest) -> Expected | None:
    """What is stored for this snapshot; None if nothing is, or it is another snapshot's."""
    for place in PLACES:
        path = place.format(version=manifest["version"])
        size = store.size(path)
        if size is None or size > MAX_BYTES:
            continue
        try:
            value = json.loads(store.get(path))
        except ValueError:
            continue
        if (
            isinstance(value, dict)
            and value.get("identity", manifest["identity"]) == manifest["identity"]
        ):
            return expected_of(value)
    return None


def expected_of(value: Mapping[str, Any]) -> Expected:
    """The results in a document of any release: what is not understood is left out."""
    found = [_result(item) for item in value.get("results", []) if isinstance(item, Mapping)]
    return Expected(sorted(found, key=lambda item: item.held))


def _result(item: Mapping[str, Any]) -> Result:
    def text(*names: str) -> str:
        for name in names:
            if item.get(name) not in (None, "", {}, []):
                given = item[name]
                return clipped(
                    given if isinstance(given, str) else json.dumps(given, ensure_ascii=False), 300
                )
        return ""

    return Result(
        table=text("table"),
        name=text("expectation", "name", "type"),
        on=text("column", "columns", "on"),
        wanted=text("wanted", "kwargs"),
        seen=text("observed", "seen"),
        held=item.get("success") is True or item.get("held") is True,
    )
