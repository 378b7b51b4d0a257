"""Builders of sources for the tests of this folder."""

import json
from pathlib import Path

from jobs.sources.read import SourceRow, read_source
from jobs.sources.settings import SourceSettings

ROW = {"instruction": "Name a color.", "input": "", "output": "Blue."}


def alpaca_rows(count: int) -> list[dict[str, str]]:
    return [{**ROW, "instruction": f"Name color number {index}."} for index in range(count)]


def write_lines(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def settings(path: Path, adapter: str = "alpaca", lang: str = "auto") -> SourceSettings:
    return SourceSettings(path=path, adapter=adapter, name="test", license="CC0-1.0", lang=lang)


def read(path: Path, adapter: str = "alpaca", limit: int | None = None) -> list[SourceRow]:
    return list(read_source(settings(path, adapter), limit))
