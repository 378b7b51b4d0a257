"""Great Expectations, loaded late and kept off the network: checks a suite, and runs it.

Its analytics are switched off before it is imported. It is asked over SQLite files, so that its
memory does not grow with the corpus.
"""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pipelines.expectations.suite import Expected, Suite
from pipelines.expectations.tables import write_tables
from schemas.errors import SettingsError
from schemas.snapshot import Manifest
from schemas.store import Store

EXAMPLES: Final = 5  # unexpected values that are kept of each expectation
SHOWN: Final = ("observed_value", "element_count", "unexpected_count", "unexpected_percent")


@dataclass(frozen=True)
class Ran:
    """What became of a suite: a JSON object per expectation, and Data Docs by path if asked."""

    results: list[dict[str, Any]]
    docs: dict[str, bytes]


@contextmanager
def _loaded() -> Iterator[ModuleType]:
    """The library. Raises SettingsError where it is not installed."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations are nobody's business here
        try:
            import great_expectations
            import sqlalchemy  # noqa: F401 - it asks SQLite through it
        except ImportError as error:
            raise SettingsError(
                f"expectations need Great Expectations, which cannot be loaded ({error}); install "
                "it with pip install 'voxmill[expectations]', or set expectations: off"
            ) from error
        logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it sets INFO itself
        yield great_expectations


def check_suite(suite: Suite) -> None:
    """Raise SettingsError unless the library knows every expectation and its arguments."""
    with _loaded():
        for table, expected in suite.tables.items():
            for place, item in enumerate(expected):
                try:
                    _expectation(item)
                except Exception as error:  # the library raises many kinds
                    said = " ".join(str(error).split())[:300]
                    raise SettingsError(
                        f"{suite.origin}: tables.{table}[{place}] ({item['type']}): {said}; "
                        "see docs/expectations.md"
                    ) from error


def run_suite(suite: Suite, store: Store, manifest: Manifest, *, docs: bool = False) -> Ran:
    """Ask every expectation of a snapshot. One that cannot be asked has failed, with its error."""
    with (
        _loaded() as gx,
        tempfile.TemporaryDirectory(prefix="voxmill-expectations-") as folder,
        _context(gx) as (context, site),
    ):
        path = Path(folder) / "corpus.sqlite"
        write_tables(path, store, manifest)
        source = context.data_sources.add_sqlite("corpus", connection_string=f"sqlite:///{path}")
        try:
            ran = _checkpoint(gx, context, source, suite).run()
            results = [
                item
                for outcome in ran.run_results.values()
                for item in _results(suite, outcome.suite_name, outcome)
            ]
            if docs:
                context.build_data_docs()
            pages = {
                page.relative_to(site).as_posix(): page.read_bytes()
                for page in sorted(site.rglob("*"))
                if docs and page.is_file()
            }
        finally:
            source.get_execution_engine().close()  # or the file stays open
    return Ran(results, pages)


@contextmanager
def _context(gx: Any) -> Iterator[tuple[Any, Path]]:  # noqa: ANN401 - the library is loaded late
    """A context in memory, silent, and the folder of its Data Docs, which ends with it."""
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    site = Path(context.variables.data_docs_sites["local_site"]["store_backend"]["base_directory"])
    try:
        yield context, site
    finally:
        shutil.rmtree(site, ignore_errors=True)


def _checkpoint(gx: Any, context: Any, source: Any, suite: Suite) -> Any:  # noqa: ANN401 - as above
    validations = []
    for table, expected in suite.tables.items():
        batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table(
            "all"
        )
        asked = context.suites.add(gx.ExpectationSuite(name=table))
        for number, item in enumerate(expected):
            asked.add_expectation(_expectation(item, number))
        validations.append(
            context.validation_definitions.add(
                gx.ValidationDefinition(name=table, data=batch, suite=asked)
            )
        )
    return context.checkpoints.add(
        gx.Checkpoint(
            name="snapshot",
            validation_definitions=validations,
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES},
        )
    )


def _expectation(item: Expected, number: int = 0) -> Any:  # noqa: ANN401 - as above
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    meta = {"number": number, "because": item["because"]}
    made = ExpectationConfiguration(type=item["type"], kwargs=item["kwargs"], meta=meta)
    return made.to_domain_obj()


def _results(suite: Suite, table: str, outcome: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """The results of one table as plain JSON, in the order of the suite."""
    found = {}
    for item in outcome.results:
        told = item.to_json_dict()
        number = told["expectation_config"]["meta"]["number"]
        seen = told["result"]
        found[number] = {
            "success": bool(told["success"]),
            **{name: seen[name] for name in SHOWN if seen.get(name) is not None},
            "examples": seen.get("partial_unexpected_list", [])[:EXAMPLES],
            "error": _error(told["exception_info"]),
        }
    absent = {"success": False, "examples": [], "error": "the library gave no result"}
    return [
        {"table": table, **item, **found.get(number, absent)}
        for number, item in enumerate(suite.tables[table])
    ]


def _error(info: dict[str, Any]) -> str:
    """What kept an expectation from being asked; empty if nothing did."""
    if "raised_exception" in info:
        return str(info["exception_message"] or "") if info["raised_exception"] else ""
    return "; ".join(
        str(item["exception_message"]) for item in info.values() if item["raised_exception"]
    )
