"""Objects of a cluster as YAML that a person can read: no aliases, files inside it as they are."""

from collections.abc import Iterable

import yaml

from jobs.schedule.pods import Object


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """What two objects share is written twice: aliases save bytes and cost the reader."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None  # PyYAML quotes what cannot be written so
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(objects: Iterable[Object]) -> str:
    """Documents in order, keys in theirs, no line broken."""
    return yaml.dump_all(
        objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
