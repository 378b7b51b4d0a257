"""The suite that the section `expectations` of a job means, and what a build tells of it."""

from pathlib import Path

import yaml

from jobs.settings.job import BaseJob
from pipelines.expectations.defaults import default_suite
from pipelines.expectations.judge import Expectations, read_results, unmet
from pipelines.expectations.suite import Suite, parse_suite
from schemas.errors import SettingsError
from schemas.snapshot import Manifest, expectations_path
from schemas.store import Store
from transforms.gate import Gate

HEAD = """\
# What a snapshot of the job {name} must keep before latest.json names it. Edit freely, name the
# file in the job (expectations: {{suite: FILE}}) and build. docs/expectations.md has the tables.
"""
SHOWN = 8


def expectations_of(job: BaseJob, folder: Path) -> Expectations | None:
    """What the job expects, checked; None where it expects nothing.

    Raises SettingsError for a suite that cannot be asked, and where the library is missing.
    """
    settings = job.expectations
    if settings is None:
        return None
    if settings.suite is None:
        suite = generated(job)
    else:
        path = folder / settings.suite
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"expectations.suite: {path} cannot be read: {error}; `voxmill expectations "
                "JOB.yaml` writes a suite to start from"
            ) from error
        suite = parse_suite(text, str(path))
    found = Expectations(suite, settings.data_docs)
    found.check()
    return found


def generated(job: BaseJob) -> Suite:
    """The suite that follows from the job."""
    gates = (Gate(**gate.model_dump()) for gate in getattr(job, "gates", ()))
    return default_suite(gates, job.limits.model_dump())


def suite_text(job: BaseJob) -> str:
    """The generated suite as a YAML file."""
    body = yaml.safe_dump(
        generated(job).to_json(), sort_keys=False, allow_unicode=True, default_flow_style=None,
        width=100,
    )  # fmt: skip
    return HEAD.format(name=job.name) + body


def why_not(job: BaseJob, store: Store, manifest: Manifest) -> str:
    """Which expectations a snapshot does not meet; empty if all, or if none are asked for."""
    if job.expectations is None:
        return ""
    results = read_results(store, manifest["version"])
    if results is not None and results["success"]:
        return ""
    lines = ["the results are missing"] if results is None else unmet(results)
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    told = "\n  ".join([*lines[:SHOWN], *more])
    return (
        f"{len(lines)} expectations are not met:\n  {told}\n"
        f"{store.uri}/{expectations_path(manifest['version'])} has all; mend the rows or the suite "
        "and run the same command again, which computes nothing anew for a mended suite"
    )
