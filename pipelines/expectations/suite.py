"""A suite of expectations: per table a list of Great Expectations' own configurations.

    format: voxmill-expectations-1
    tables:
      corpus:
        - {type: expect_column_values_to_be_between, kwargs: {column: hours, min_value: 100}}

The file is YAML or JSON. ``type`` and ``kwargs`` are those of Great Expectations; ``because`` is a
note for people.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import yaml

from pipelines.expectations.tables import COLUMNS
from schemas.canonical import digest
from schemas.errors import SettingsError

FORMAT: Final = "voxmill-expectations-1"
KEYS: Final = ("type", "kwargs", "because")
NAMING: Final = ("column", "column_A", "column_B")  # kwargs that name one column
LISTING: Final = ("column_list", "column_set")  # kwargs that name several


class Expected(TypedDict):
    """One expectation. ``kwargs`` are plain JSON values."""

    type: str
    kwargs: dict[str, Any]
    because: str


@dataclass(frozen=True)
class Suite:
    """Expectations by table; ``origin`` is where they are from, for errors."""

    origin: str
    tables: Mapping[str, tuple[Expected, ...]]

    def to_json(self) -> dict[str, Any]:
        """What a suite's file holds."""
        return {
            "format": FORMAT,
            "tables": {
                table: [{key: value for key, value in item.items() if value} for item in expected]
                for table, expected in self.tables.items()
            },
        }

    @property
    def digest(self) -> str:
        """sha256 of all that is expected."""
        return digest(self.to_json())


def parse_suite(text: str, origin: str) -> Suite:
    """The suite that a file holds. Raises SettingsError for what is none, naming the place."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{origin}: neither YAML nor JSON: {error}") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        got = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise SettingsError(
            f"{origin}: not a suite of expectations: got format {got!r}, wanted '{FORMAT}'; "
            "`voxmill expectations JOB.yaml` writes one to start from"
        )
    if unknown := sorted(set(value) - {"format", "tables"}):
        raise SettingsError(f"{origin}: unknown keys {unknown}; wanted format and tables")
    tables = value.get("tables")
    if not isinstance(tables, dict) or not tables:
        raise SettingsError(f"{origin}: wanted 'tables', some of {sorted(COLUMNS)}")
    found = {}
    for table, expected in tables.items():
        if table not in COLUMNS:
            raise SettingsError(f"{origin}: there is no table '{table}'; wanted {sorted(COLUMNS)}")
        if not isinstance(expected, list):
            raise SettingsError(f"{origin}: tables.{table}: wanted a list of expectations")
        found[table] = tuple(
            _expected(item, table, f"{origin}: tables.{table}[{place}]")
            for place, item in enumerate(expected)
        )
    return Suite(origin, found)


def _expected(item: object, table: str, where: str) -> Expected:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise SettingsError(f"{where}: got {item!r:.80}; wanted type and kwargs")
    if unknown := sorted(set(item) - set(KEYS)):
        raise SettingsError(f"{where}: unknown keys {unknown}; wanted {list(KEYS)}")
    kwargs = item.get("kwargs", {})
    if not isinstance(kwargs, dict):
        raise SettingsError(f"{where}: kwargs are {kwargs!r:.80}; wanted names and values")
    named = [kwargs[key] for key in NAMING if key in kwargs]
    for key in LISTING:
        listed = kwargs.get(key, [])
        named += listed if isinstance(listed, list) else [listed]
    for column in named:
        if column not in COLUMNS[table]:
            near = difflib.get_close_matches(str(column), COLUMNS[table], n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise SettingsError(
                f"{where}: the table {table} has no column '{column}'; {hint}it has "
                f"{', '.join(COLUMNS[table])}"
            )
    return {"type": item["type"], "kwargs": kwargs, "because": str(item.get("because", ""))}
