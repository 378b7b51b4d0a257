"""The installer without a network: fake tools on the PATH, fake packages on disk."""

import os
import shutil
from pathlib import Path

import pytest

from jobs import install_flite
from schemas.errors import BackendError
from transforms.backends.flite import AUDIO_LIBRARY


def unpacked_package(root: Path, *, without: str = "") -> Path:
    """As dpkg -x leaves it: versioned files, and links by the names that the loader asks for."""
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    for name in (*install_flite.LIBRARIES, AUDIO_LIBRARY):
        if name != without:
            real = libraries / f"{name}.2.2"
            real.write_text(name)
            (libraries / name).symlink_to(real.name)
    notice = root / "usr" / "share" / "doc" / "libflite1" / "copyright"
    notice.parent.mkdir(parents=True)
    notice.write_text("CMU")
    return root


def tools(directory: Path, **scripts: str) -> None:
    directory.mkdir(exist_ok=True)
    for name, body in scripts.items():
        path = directory / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)


def use_only(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}/usr/bin{os.pathsep}/bin")


def test_place_copies_real_files_and_the_notice(tmp_path: Path) -> None:
    target = tmp_path / "env" / "flite"
    install_flite.place(unpacked_package(tmp_path / "package"), target)
    for name in (*install_flite.LIBRARIES, AUDIO_LIBRARY):
        assert not (target / name).is_symlink()
        assert (target / name).read_text() == name
    assert (target / "libflite1.copyright").read_text() == "CMU"
    assert [path.name for path in target.parent.iterdir()] == ["flite"]


def test_place_replaces_a_broken_target(tmp_path: Path) -> None:
    target = tmp_path / "flite"
    target.mkdir()
    (target / "half").write_text("")
    install_flite.place(unpacked_package(tmp_path / "package"), target)
    assert not (target / "half").exists()


def test_an_interrupted_copy_leaves_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[object] = []

    def copy(source: object, destination: object) -> None:
        copied.append(destination)
        if len(copied) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", copy)
    target = tmp_path / "env" / "flite"
    with pytest.raises(KeyboardInterrupt):
        install_flite.place(unpacked_package(tmp_path / "package"), target)
    assert list(target.parent.iterdir()) == []


def test_a_package_without_a_voice_is_refused(tmp_path: Path) -> None:
    package = unpacked_package(tmp_path / "package", without="libflite_cmu_us_awb.so.1")
    with pytest.raises(BackendError, match=r"holds no libflite_cmu_us_awb\.so\.1"):
        install_flite.place(package, tmp_path / "flite")
    assert not (tmp_path / "flite").exists()


def test_without_lists_it_fetches_private_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake apt-get that knows no package before an update into a private directory."""
    log = tmp_path / "log"
    tools(
        tmp_path / "bin",
        apt_get=f"""echo "$*" >> {log}
case "$*" in
  *Dir::State::lists=*update) touch updated ;;
  *download*libasound2t64) echo "E: Unable to locate package" >&2; exit 100 ;;
  *Dir::State::lists=*download*) test -e updated && touch "$(echo "$*" | sed 's/.* //').deb" ;;
  *) echo "E: Unable to locate package" >&2; exit 100 ;;
esac""",
    )
    use_only(monkeypatch, tmp_path / "bin")
    work = tmp_path / "work"
    work.mkdir()
    names = [path.name for path in install_flite.fetch(work)]
    assert names == ["libasound2.deb", "libflite1.deb"]
    assert (work / "state" / "lists" / "partial").is_dir()
    calls = log.read_text().splitlines()
    assert all("Dir::State=" in call for call in calls[1:])
    assert all(str(work) in call for call in calls[1:])


def test_with_lists_it_makes_no_private_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", apt_get='touch "$(echo "$*" | sed "s/.* //").deb"')
    use_only(monkeypatch, tmp_path / "bin")
    work = tmp_path / "work"
    work.mkdir()
    names = [path.name for path in install_flite.fetch(work)]
    assert names == ["libasound2t64.deb", "libflite1.deb"]
    assert not (work / "state").exists()


def test_without_apt_it_prints_the_cure_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(install_flite, "is_installed", lambda flite: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level("INFO"):
        assert install_flite.main(["--target", str(tmp_path / "flite")]) == 1
    assert "no apt-get and no dpkg" in caplog.text
    assert "voices.bank" in caplog.text


def test_a_second_run_does_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(install_flite, "is_installed", lambda flite: True)
    monkeypatch.setattr(install_flite, "install", lambda target: pytest.fail("installed again"))
    with caplog.at_level("INFO"):
        assert install_flite.main([]) == 0
    assert "nothing to do" in caplog.text


def test_a_target_that_cannot_be_written_gives_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(install_flite, "is_installed", lambda flite: False)
    monkeypatch.setattr(install_flite, "install", refuse)
    assert install_flite.main(["--target", str(tmp_path / "flite")]) == 1
    assert "Permission denied" in caplog.text
    assert "make setup" in caplog.text
