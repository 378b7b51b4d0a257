"""The results of a snapshot's expectations, as its build stored them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.extras import cell
from jobs.report.words import clipped
from schemas.snapshot import Manifest, expectations_path
from schemas.store import Store

MAX_BYTES: Final = 8_000_000
MAX_SHOWN: Final = 200
MAX_WORDS: Final = 300
QUIET: Final = ("column", "condition_parser")  # arguments that are told elsewhere, or tell nothing


@dataclass(frozen=True)
class Result:
    """One expectation: on what, whether it held, and what was seen."""

    table: str
    name: str
    on: str
    wanted: str
    seen: str
    held: bool
    because: str = ""


@dataclass(frozen=True)
class Expected:
    """All results, those that failed first."""

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
    """What is stored for this snapshot; None if nothing is that can be read, or of another."""
    path = expectations_path(manifest["version"])
    size = store.size(path)
    if size is None or size > MAX_BYTES:
        return None
    try:
        value = json.loads(store.get(path))
    except ValueError:
        return None
    mine = isinstance(value, dict) and value.get("identity") == manifest["identity"]
    return expected_of(value) if mine else None


def expected_of(value: Mapping[str, Any]) -> Expected:
    """The results in a document; what is not understood is left out."""
    results = value.get("results")
    items = results if isinstance(results, list) else []
    found = [_result(item) for item in items if isinstance(item, Mapping)]
    return Expected(sorted(found, key=lambda item: item.held))


def _result(item: Mapping[str, Any]) -> Result:
    given = item.get("kwargs")
    kwargs: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    wanted = ", ".join(f"{key} {cell(kwargs[key])}" for key in kwargs if key not in QUIET)
    return Result(
        table=clipped(cell(item.get("table")), MAX_WORDS),
        name=clipped(cell(item.get("type")), MAX_WORDS).removeprefix("expect_").replace("_", " "),
        on=clipped(cell(kwargs.get("column")), MAX_WORDS),
        wanted=clipped(wanted, MAX_WORDS),
        seen=clipped(_seen(item), MAX_WORDS),
        held=item.get("success") is True,
        because=clipped(cell(item.get("because")), MAX_WORDS),
    )


def _seen(item: Mapping[str, Any]) -> str:
    if item.get("error"):
        return cell(item["error"])
    if item.get("unexpected_count") is not None:
        said = f"{item['unexpected_count']} of {item.get('element_count')} unexpected"
        examples = item.get("examples") or []
        return f"{said}, such as {cell(examples[0])}" if examples else said
    return cell(item.get("observed_value"))
