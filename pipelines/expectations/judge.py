"""What a snapshot must keep before readers get it: the suite is asked, and its results stored."""

import json
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from pipelines.expectations.great import check_suite, run_suite
from pipelines.expectations.suite import Suite
from schemas.canonical import pretty_json
from schemas.snapshot import Manifest, expectations_path
from schemas.store import Store
from transforms.environment import versions

logger = logging.getLogger(__name__)
FORMAT: Final = "voxmill-expectation-results-1"


@dataclass(frozen=True)
class Expectations:
    """A suite to be met. ``data_docs`` keeps Great Expectations' own pages beside the results."""

    suite: Suite
    data_docs: bool = False

    def check(self) -> None:
        """Raise SettingsError for a suite that could not be asked, before anything is built."""
        check_suite(self.suite)

    def met(self, store: Store, manifest: Manifest) -> bool:
        """Whether the snapshot is as expected. The results are kept, and not asked for again."""
        path = expectations_path(manifest["version"])
        asked = {
            "identity": manifest["identity"],
            "suite": self.suite.digest,
            "environment": versions("great-expectations"),
            "data_docs": self.data_docs,
        }
        standing = read_results(store, manifest["version"])
        if standing is not None and all(standing.get(key) == asked[key] for key in asked):
            return bool(standing["success"])
        began = time.monotonic()
        ran = run_suite(self.suite, store, manifest, docs=self.data_docs)
        logger.info("%d expectations in %.1f s", len(ran.results), time.monotonic() - began)
        for name, page in ran.docs.items():
            store.put(f"{path.removesuffix('.json')}-docs/{name}", page)
        record = {
            "format": FORMAT,
            "version": manifest["version"],
            **asked,
            "success": all(item["success"] for item in ran.results),
            "failed": sum(not item["success"] for item in ran.results),
            "results": ran.results,
        }
        store.put(path, pretty_json(record))
        return bool(record["success"])


def read_results(store: Store, version: int) -> dict[str, Any] | None:
    """The results that are stored for a version; None where there are none that can be read."""
    path = expectations_path(version)
    if store.size(path) is None:
        return None
    try:
        value = json.loads(store.get(path))
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.get("format") == FORMAT else None


def unmet(results: dict[str, Any]) -> list[str]:
    """The expectations that failed, a line each."""
    return [_line(item) for item in results["results"] if not item["success"]]


def _line(item: dict[str, Any]) -> str:
    kwargs = {key: value for key, value in item["kwargs"].items() if key != "condition_parser"}
    about = kwargs.pop("column", "")
    told = ", ".join(f"{key} {value}" for key, value in kwargs.items())
    seen = item.get("error") or ""
    if not seen and "unexpected_count" in item:
        seen = f"{item['unexpected_count']} of {item['element_count']} unexpected"
        if item["examples"]:
            seen += f", such as {json.dumps(item['examples'][0])}"
    elif not seen:
        seen = f"observed {item.get('observed_value')}"
    name = item["type"].removeprefix("expect_").replace("_", " ")
    return f"{item['table']}: {about} {name} ({told}): {seen}".replace(" ()", "")
