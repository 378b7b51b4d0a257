"""fairseq's k-means is read, and nothing that a pickle wants to run is run."""

import builtins
import io
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans

from schemas.errors import BackendError
from transforms.clustering.joblib_file import read_kmeans

ROWS = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def dumped(value: Any, path: Path, **options: Any) -> bytes:
    joblib.dump(value, path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [MiniBatchKMeans, KMeans])
def test_the_centroids_of_a_saved_model_come_out(tmp_path: Path, kind: Any, protocol: int) -> None:
    model = kind(4, n_init=2, random_state=np.random.RandomState(3)).fit(ROWS)
    found = read_kmeans(dumped(model, tmp_path / "km.bin", protocol=protocol), "km.bin")
    assert found.tolist() == model.cluster_centers_.astype(np.float32).tolist()


def test_arrays_in_fortran_order_and_in_float64_are_the_same_numbers(tmp_path: Path) -> None:
    model = MiniBatchKMeans(4, n_init=1).fit(ROWS)
    model.cluster_centers_ = np.asfortranarray(model.cluster_centers_.astype(np.float64))
    expected = model.cluster_centers_.astype(np.float32).tolist()
    assert read_kmeans(dumped(model, tmp_path / "km.bin"), "km.bin").tolist() == expected


class Evil:
    """Runs a function of the reader's when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> Any:
        return self.called


ATTACKS = [
    Evil(os.system, "echo pwned"),
    Evil(builtins.eval, "1/0"),
    Evil(builtins.__import__, "antigravity"),
    Evil(np.load, "x.npy"),
    Evil(io.open, "pwned", "w"),
]


@pytest.mark.parametrize("evil", ATTACKS)
@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, evil: Evil, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model: Any = evil
    if inside:
        model = MiniBatchKMeans(4, n_init=1).fit(ROWS)
        model.verbose = evil
    data = pickle.dumps(model) if not inside else dumped(model, tmp_path / "km.bin")
    called = []
    monkeypatch.setattr(os, "system", called.append)
    with pytest.raises(BackendError, match=r"names .*nothing of it was run.*cluster_centers_"):
        read_kmeans(data, "km.bin")
    assert called == []
    assert not (tmp_path / "pwned").exists()


def test_inert_names_do_nothing_with_what_they_are_given() -> None:
    """numpy.dtype and the others may stand in a file, but are not called with its arguments."""
    code = b"cnumpy\ndtype\n(S'no such type'\ntR."
    with pytest.raises(BackendError, match="without cluster_centers_"):
        read_kmeans(code, "km.bin")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no k-means that joblib saved"),
        (b"RIFF....", "no k-means that joblib saved"),
        (pickle.dumps({"cluster_centers_": [[1.0]]}), "without cluster_centers_"),
        (b"\x82\x01.", "extension code"),
    ],
)
def test_what_is_no_kmeans_is_said(data: bytes, said: str) -> None:
    with pytest.raises(BackendError, match=said):
        read_kmeans(data, "km.bin")


def test_an_unfitted_a_cut_and_a_compressed_model_are_said(tmp_path: Path) -> None:
    model = MiniBatchKMeans(4, n_init=1)
    with pytest.raises(BackendError, match="without cluster_centers_"):
        read_kmeans(dumped(model, tmp_path / "a"), "a")
    whole = dumped(model.fit(ROWS), tmp_path / "b")
    place = whole.find(b"cluster_centers_")
    with pytest.raises(BackendError, match=r"ends inside an array|no k-means"):
        read_kmeans(whole[: place + 330], "b")
    with pytest.raises(BackendError, match=r"compressed; save it again"):
        read_kmeans(dumped(model, tmp_path / "c", compress=3), "c")


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    model = MiniBatchKMeans(4, n_init=1).fit(ROWS)
    model.cluster_centers_ = np.array([[Evil(os.system, "echo")]], object)
    with pytest.raises(BackendError, match="wanted plain numbers"):
        read_kmeans(dumped(model, tmp_path / "km.bin"), "km.bin")
