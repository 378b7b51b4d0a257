"""What is installed from a wheel is what lies here, data files included."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "transforms", "pipelines", "jobs", "trainers")
NOT_OURS = shutil.ignore_patterns("__pycache__")


def test_a_wheel_carries_every_module_and_its_data(tmp_path: Path) -> None:
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=NOT_OURS)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    there = {path.relative_to(tree).as_posix() for path in tree.glob("*/**/*") if path.is_file()}
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    told = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(wheels), str(tree)]
    subprocess.run([*pip, "wheel", *told], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert packed == there
