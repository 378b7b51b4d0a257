"""Who of a standing pool is given work; Ray is played by a few lines here."""

import pickle
from typing import Any

import pytest

pytest.importorskip("ray")

from pipelines.engines import ray_standing
from pipelines.engines.host import Answer
from pipelines.engines.ray_standing import StandingPool
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
        *[""] * 2,
    )
    many: Any = (piece, post)
    assert len(list(pool.run(rows, *many, 6))) == 12
    assert played.most > 2
    played.most = 0
    assert len(list(pool.run(rows, *many, 2))) == 12
    assert played.most == 2


def test_a_cluster_that_others_fill_is_told_once_and_waited_for(played: PlayedRay) -> None:
    notes: list[str] = []
    pool = StandingPool(Resources(cpus=2.0), -1.0, notes.append)
    played.looks_in_vain = 5
    told: Any = ("", "")
    assert len(list(pool.run([{"number": 0}], *told, 1))) == 1
    (note,) = notes
    assert "2 CPUs" in note
    assert "ray status" in note


@pytest.mark.parametrize("unopened", [1, 2])
def test_what_does_not_open_is_tried_on_another_worker_once(
    played: PlayedRay, unopened: int
) -> None:
    notes: list[str] = []
    pool = StandingPool(Resources(), note=notes.append)
    played.unopened = 2 * unopened  # each worker is first asked whether it is up
    told: Any = ("", "")
    (done,) = pool.run([{"number": 0}], *told, 1)
    assert ("answer" in done) == (unopened == 2)
    assert played.killed == 1
    assert notes == ["a Ray worker could not open what it needs; its task goes to another"]
