"""The Dockerfile, as far as it can be checked without building it."""

import re
import shlex
import tomllib
from pathlib import Path

from jobs.schedule.pods import USER_ID

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Every instruction and its arguments, continued lines joined, in order."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line]  # type: ignore[misc]


def test_every_base_is_pinned_by_version_or_digest() -> None:
    defaults = dict(
        told.split("=", 1) for name, told in instructions() if name == "ARG" and "=" in told
    )
    bases = [told.split()[0] for name, told in instructions() if name == "FROM"]
    assert len(bases) == 2
    for base in bases:
        base = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], base)
        assert re.search(r":\d+\.\d+\.\d+|@sha256:[0-9a-f]{64}", base), base


def test_it_ends_as_the_user_that_the_pods_name() -> None:
    last = max(n for n, (name, _) in enumerate(instructions()) if name == "FROM")
    final = instructions()[last:]
    users = [told for name, told in final if name == "USER"]
    assert users[-1] == f"{USER_ID}:{USER_ID}"
    assert any(f"--uid {USER_ID}" in told for name, told in final if name == "RUN")
    assert not any(name in ("RUN", "COPY") for name, _ in final[final.index(("USER", users[-1])) :])


def test_it_calls_make_targets_that_the_checks_run_and_pip_never() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set()
    for name, told in instructions():
        if name != "RUN":
            continue
        assert not re.search(r"\bpip3? install\b", told)
        for command in told.split("&&"):
            words = [w for w in shlex.split(command) if not re.match(r"^[A-Z_]+=", w)]
            if words and words[0] == "make":
                targets |= {word for word in words[1:] if "=" not in word}
    assert targets == {"setup"}
    assert re.search(r"^setup: (\S+)$", makefile, re.M)[1] == "$(VENV)/.core"  # type: ignore[index]
    # `make test`, which is all that CI runs, goes the same way
    assert "$(VENV)/.dev: $(VENV)/.core" in makefile
    assert re.search(r"^lint: \$\(VENV\)/\.dev$", makefile, re.M)
    assert re.search(r"^test: lint$", makefile, re.M)


def test_it_copies_every_package_that_is_installed() -> None:
    copied = {told.split()[0] for name, told in instructions() if name == "COPY"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {
        name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert names
    assert names <= copied
    for name, told in instructions():
        if name == "COPY" and "--from" not in told:
            for source in told.split()[:-1]:
                assert (ROOT / source).exists(), source
