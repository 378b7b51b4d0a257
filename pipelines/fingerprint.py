"""Fingerprints: what changes the bytes of a step, and nothing else."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.graph import Pipeline
from schemas.canonical import digest
from transforms.step import Node, Step


def fingerprint(node: Node, artifacts: Mapping[str, str]) -> str:
    """sha256 over a node's version, identity, schemas and the artifacts it uses.

    ``artifacts`` maps the names of fit steps to the sha256 of their artifacts. What stands
    upstream is not in it (it is in the row keys), nor engine, workers, batch size, resources.
    """
    value: dict[str, object] = {
        "name": node.name,
        "version": node.version,
        "identity": dict(node.identity()),
        "reads": _schema(node.reads),
    }
    if isinstance(node, Step):
        value["writes"] = _schema(node.writes)
        value["artifacts"] = {name: artifacts[name] for name in node.uses}
    return digest(value)


def pipeline_fingerprint(pipeline: Pipeline) -> str:
    """The fingerprint of everything in a pipeline but the rows and the artifacts."""
    nothing = dict.fromkeys((fit.name for fit in pipeline.fits()), "")
    return digest([pipeline.name, [fingerprint(node, nothing) for node in pipeline.nodes]])


def _schema(schema: pa.Schema) -> list[list[str]]:
    return [[item.name, str(item.type)] for item in schema]
