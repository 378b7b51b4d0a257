"""The report tells steps in the order of the pipelines."""

import importlib
import pkgutil

import transforms
from jobs.report.corpus import STEPS
from tests.builders import pipeline
from transforms.step import Fit, Node


def known(kind: type[Node]) -> set[str]:
    """The names of all steps of the project, fit steps apart."""
    found = (
        {kind.name} if kind.__module__.startswith("transforms.") and "name" in vars(kind) else set()
    )
    return found.union(*map(known, kind.__subclasses__())) if not issubclass(kind, Fit) else set()


def test_every_step_has_its_place() -> None:
    for module in pkgutil.iter_modules(transforms.__path__):
        importlib.import_module(f"transforms.{module.name}")
    assert len(known(Node)) > 20
    assert known(Node) <= set(STEPS)
    assert len(STEPS) == len(set(STEPS))


def test_the_order_is_the_pipelines_own() -> None:
    order = [node.name for node in pipeline().nodes if node.name in STEPS]
    assert len(order) > 12
    assert order == sorted(order, key=STEPS.index)
