"""The README's commands work as they are written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import main
from tests.pipelines.corpora import ROOT, build

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [
        shlex.split(line, comments=True)[1:]
        for line in lines
        if line.startswith(".venv/bin/voxmill ")
    ]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make corpus` leaves it, but for the voices."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    build(folder / "corpus", "--workers", "2")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_works(
    words: list[str],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(here)
    assert main(words) == 0
    assert len(capsys.readouterr().out) > 100


@pytest.mark.slow
def test_the_python_of_the_readme_works(here: Path) -> None:
    pytest.importorskip("torch", reason="pip install -c constraints.txt '.[train]'")
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippets
    for snippet in snippets:
        done = subprocess.run(
            [sys.executable, "-c", snippet], cwd=here, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "assistant" in done.stdout


def test_the_readme_shows_each_command_once_at_least() -> None:
    shown = {words[0] for words in commands()}
    assert shown >= {"inspect", "verify", "plan"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
