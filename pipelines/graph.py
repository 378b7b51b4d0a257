"""The named DAG of steps, checked when it is built.

Steps are given in an order that works; the edges are the columns that a step reads and an earlier
one wrote. A column has one writer, unless a later step says that it ``replaces`` it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from schemas.columns import ERROR_SUFFIX, REASONS_SUFFIX, error_field
from schemas.conversation import CONVERSATION
from schemas.errors import SchemaError
from transforms.step import Explode, Fit, Gather, Node, Step, TableName

CONVERSATIONS: TableName = "conversations"
UTTERANCES: TableName = "utterances"
PLANNED = pa.schema([*CONVERSATION, pa.field("born", pa.int32(), nullable=False)])


@dataclass(frozen=True)
class Pipeline:
    """A pipeline: its name and its nodes. Raises SchemaError where two nodes do not fit."""

    name: str
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(f"pipeline {self.name}: two nodes are named '{name}'")
        for _ in self.edges():
            pass

    def node(self, name: str) -> Node:
        """The node with this name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise SchemaError(f"pipeline {self.name} has no node '{name}'")

    def steps(self) -> list[Step]:
        """The maps, in order."""
        return [node for node in self.nodes if isinstance(node, Step)]

    def memo_steps(self) -> list[Step]:
        """The maps whose results are kept."""
        return [step for step in self.steps() if step.memo]

    def fits(self) -> list[Fit]:
        """The fit steps, in order."""
        return [node for node in self.nodes if isinstance(node, Fit)]

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """(writer, reader, column) for each column read; checks every schema on the way."""
        tables: dict[str, dict[str, tuple[str, pa.DataType]]] = {
            CONVERSATIONS: {item.name: ("source", item.type) for item in PLANNED}
        }
        fitted: set[str] = set()
        for node in self.nodes:
            table = tables.get(node.table)
            if table is None:
                raise SchemaError(
                    f"pipeline {self.name}: {node.name} reads the utterance table, "
                    "which no earlier node makes"
                )
            for column in node.reads:
                writer, found = table.get(column.name, ("", None))
                if found is None:
                    raise SchemaError(
                        f"pipeline {self.name}: {node.name} reads column '{column.name}' "
                        f"({column.type}); found no such column, only {sorted(table)}"
                    )
                if found != column.type:
                    raise SchemaError(
                        f"pipeline {self.name}: {node.name} reads column '{column.name}' as "
                        f"{column.type}; found {found}, written by {writer}"
                    )
                yield writer, node.name, column.name
            if isinstance(node, Step):
                for name in node.uses:
                    if name not in fitted:
                        raise SchemaError(
                            f"pipeline {self.name}: {node.name} uses the artifact '{name}', "
                            f"which no earlier fit step makes; found {sorted(fitted)}"
                        )
                    yield name, node.name, "artifact"
            if isinstance(node, Fit):
                fitted.add(node.name)
            elif isinstance(node, Explode):
                if UTTERANCES in tables:
                    raise SchemaError(
                        f"pipeline {self.name}: {node.name} makes the utterance table, which an "
                        "earlier node made already"
                    )
                tables[UTTERANCES] = {item.name: (node.name, item.type) for item in node.writes}
            elif isinstance(node, Step | Gather):
                self._add(tables[node.table if isinstance(node, Step) else CONVERSATIONS], node)

    def _add(self, table: dict[str, tuple[str, pa.DataType]], node: Step | Gather) -> None:
        for item in written(node):
            if (
                item.name in node_replaces(node)
                and table.get(item.name, ("", None))[1] == item.type
            ):
                pass  # the step gives the column anew, of the same type
            elif item.name in table:
                raise SchemaError(
                    f"pipeline {self.name}: {node.name} writes column '{item.name}', "
                    f"which {table[item.name][0]} wrote already"
                )
            table[item.name] = (node.name, item.type)


def written(node: Step | Gather) -> list[pa.Field]:
    """The columns that the engine adds for a node: its own, and its error column."""
    if isinstance(node, Gather):
        nested = pa.list_(pa.field("item", pa.struct(list(node.reads)), nullable=False))
        return [pa.field(node.column, nested), error_field(node.name)]
    own = list(node.writes)
    if not any(item.name == node.name + ERROR_SUFFIX for item in own):
        own.append(error_field(node.name))
    return own


def node_replaces(node: Step | Gather) -> frozenset[str]:
    """The columns of earlier steps that a node gives anew."""
    return node.replaces if isinstance(node, Step) else frozenset()


def is_verdict(column: str) -> bool:
    """Whether a column says that a row is rejected or failed."""
    return column.endswith((REASONS_SUFFIX, ERROR_SUFFIX))
