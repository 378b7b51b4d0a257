"""One tiny corpus for the tests of reports, cards and inspection: built once, in seconds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs.commands.build import build_job
from jobs.report.data import Corpus, gather
from pipelines.build import Result
from pipelines.outcome import Outcome, all_codes, read_outcomes
from schemas.snapshot import Manifest
from schemas.store import Store, open_store

ROOT = Path(__file__).parents[2]
SAMPLE_ROWS = 20
SCRIPT = "<script>alert('row')</script>"
IMAGE = '"><img src=x onerror="alert(1)">'


@dataclass
class TinyCorpus:
    """A built corpus, and everything that a report is made from."""

    uri: str
    store: Store
    manifest: Manifest
    corpus: Corpus
    exhibits: list[dict[str, Any]] = field(default_factory=list)

    def rejected(self, code: str) -> Outcome:
        """The first rejected row that names ``code``."""
        rows = read_outcomes(self.store, self.manifest["rejected"])
        return next(row for row in rows if code in all_codes(row))


def _row(name: str, *texts: str) -> str:
    roles = ("user", "assistant") * (len(texts) // 2)
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    return json.dumps({"id": name, "messages": turns})


HOSTILE = [
    _row("hostile-script", f"Say {SCRIPT} now.", f"{SCRIPT} {SCRIPT}"),
    _row(IMAGE, "What is \x1b[31m a tag?", "A tag is a word."),
    "{this line is not JSON <b onclick=alert(2)>",
    _row("long", "Tell me a lot.", "It goes on for a while, and then it goes on some more. " * 4),
]


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    folder = tmp_path_factory.mktemp("tiny")
    sample = (ROOT / "examples" / "sample_instructions.jsonl").read_text("utf-8").splitlines()
    several = [line for line in sample if len(json.loads(line)["messages"]) > 3][:1]
    lines = [*HOSTILE, *several, *sample[: SAMPLE_ROWS - len(several)]]
    source = folder / "rows.jsonl"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    changes = [
        f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}",
        "units.clusters=8",
        "splits.eval_fraction=0.3",
        "gates=[{measure: duration_s, max: 12}, {measure: loudness_lufs, min: -60, langs: [zh]}]",
    ]
    uri = str(folder / "corpus")
    built = build_job(
        ROOT / "examples" / "instruct_s2s.yaml",
        changes,
        source=str(source),
        output=uri,
        workers=0,
        limit=24,
        quiet=True,
    )
    (result,) = (item for item in built if isinstance(item, Result))
    store = open_store(uri)
    corpus = gather(store, result.manifest)
    return TinyCorpus(uri, store, result.manifest, corpus, result.exhibits)
