"""Who of a standing pool is given work; Ray is played by a few lines here."""

import pickle
from typing import Any

import pytest

pytest.importorskip("ray")

from pipelines.engines import ray_standing, ray_waiting
from pipelines.engines.host import Answer
from pipelines.engines.pieces import Piece
from pipelines.engines.ray_standing import StandingPool
from pipelines.engines.ray_waiting import Waiting
from transforms.step import Resources


class PlayedRay:
    """Actors that answer at once, when they are waited for. ``most`` were busy at a time."""

    def __init__(self) -> None:
        self.busy: set[int] = set()
        self.most, self._refs = 0, 0
        self.unopened = 0  # so many answers say that a model does not open
        self.killed = 0
        self.looks_in_vain = 0  # so often nothing is ready: others have the machines

    def remote(self, kind: type) -> "PlayedRay":
        return self

    def _actor(self, *told: Any) -> "PlayedActor":
        return PlayedActor(self)

    def options(self, **needs: Any) -> Any:
        return type("Made", (), {"remote": staticmethod(self._actor)})

    def asked(self, work: bool) -> int:
        self._refs += 1
        if work:
            self.busy.add(self._refs)
            self.most = max(self.most, len(self.busy))
        return self._refs

    def wait(
        self, refs: list[int], num_returns: int, timeout: float
    ) -> tuple[list[int], list[int]]:
        if self.looks_in_vain:
            self.looks_in_vain -= 1
            return [], refs
        first = sorted(refs, key=lambda ref: ref in self.busy)  # those that start come before
        return first[:1], first[1:]

    def get(self, ref: int) -> list[dict[str, Any]]:
        self.busy.discard(ref)
        if self.unopened:
            self.unopened -= 1
            error = ("error", "OpeningError", "synthesize: did not open")
            return [{"number": ref, "answer": pickle.dumps(Answer(error=error))}]
        return [{"number": ref}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def kill(self, actor: Any) -> None:
        self.killed += 1


class PlayedActor:
    def __init__(self, ray: PlayedRay) -> None:
        self.ready = type("Ready", (), {"remote": staticmethod(lambda: ray.asked(False))})
        self.do = type("Do", (), {"remote": staticmethod(lambda *told: ray.asked(True))})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> PlayedRay:
    ray = PlayedRay()
    monkeypatch.setattr(ray_standing, "ray", ray)
    return ray


def test_a_stage_with_a_smaller_bound_uses_no_more_of_those_who_stand(played: PlayedRay) -> None:
    """``max_workers`` of a step's pool: what it uses may have no more room than that."""
    pool, rows, piece, post = (
        StandingPool(Resources()),
        [{"number": n} for n in range(12)],
        Piece("speech", None, Resources()),
        "",
    )
    many: Any = (piece, post)
    assert len(list(pool.run(rows, *many, 6))) == 12
    assert played.most > 2
    played.most = 0
    assert len(list(pool.run(rows, *many, 2))) == 12
    assert played.most == 2


def test_a_cluster_that_others_fill_is_told_and_waited_for(
    played: PlayedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    pool = StandingPool(Resources(cpus=2.0), -1.0, notes.append)
    monkeypatch.setattr(ray_waiting, "ray", played)
    played.looks_in_vain = 5
    piece = Piece("speech", None, Resources())
    told: Any = (piece, "")
    assert len(list(pool.run([{"number": 0}], *told, 1))) == 1
    (note,) = notes
    assert "no worker has got a place on the Ray cluster for speech with 2 CPUs, 500 MB" in note
    assert "has 4 CPUs, 0 GPUs, 0 MB; free are 1 CPUs" in note
    assert "ray status" in note


@pytest.mark.parametrize("unopened", [1, 2])
def test_what_does_not_open_is_tried_on_another_worker_once(
    played: PlayedRay, unopened: int
) -> None:
    notes: list[str] = []
    pool = StandingPool(Resources(), note=notes.append)
    played.unopened = 2 * unopened  # each worker is first asked whether it is up
    told: Any = (Piece("speech", None, Resources()), "")
    (done,) = pool.run([{"number": 0}], *told, 1)
    assert ("answer" in done) == (unopened == 2)
    assert played.killed == 1
    assert notes == ["a Ray worker could not open what it needs; its task goes to another"]


def test_waiting_is_told_after_a_while_then_rarely_and_anew_after_it_went_on(
    played: PlayedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_waiting, "ray", played)
    notes: list[str] = []
    now = [0.0]
    waiting = Waiting(notes.append, 30.0, 900.0, lambda: now[0])
    lacking = [("speech", Resources())]

    def looks(*seconds: float) -> list[int]:
        return [now.__setitem__(0, at) or waiting.look(lacking) or len(notes) for at in seconds]

    assert looks(0.0, 29.0, 31.0, 32.0, 920.0, 932.0) == [0, 0, 1, 1, 1, 2]
    waiting.look([])
    assert looks(940.0, 960.0, 971.0) == [2, 2, 3]
