"""The pod that submits a RayJob, against an API server on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.schedule.submit import EXIT_LOST_CONTACT, EXIT_OK, EXIT_RUN_FAILED, main

FOLDER = "/apis/ray.io/v1/namespaces/corpora/rayjobs"


@dataclass
class Cluster:
    """An API server that knows RayJobs: each look at one shows the next of ``states``."""

    states: list[dict[str, str]]
    troubles: list[int] = field(default_factory=list)  # answered first, to whatever is asked
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    base: str = ""
    created: str = ""  # when RayJobs are
    leaving: bool = False  # what stands in the way of a new one goes right after

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(f"{method} {path}")
        if self.troubles:
            return self.troubles.pop(0), {}
        if method == "POST":
            name = body["metadata"]["name"]
            if name in self.held:
                if self.leaving:
                    del self.held[name]
                return 409, {}
            if self.created:
                body["metadata"]["creationTimestamp"] = self.created
            self.held[name] = body
            return 201, body
        name = path.rpartition("/")[2]
        if name not in self.held:
            return 404, {}
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        return 200, {**self.held[name], "status": state}


@contextmanager
def served(cluster: Cluster) -> Iterator[Cluster]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers["Authorization"] != "Bearer a-token":
                code, value = 401, {}
            else:
                code, value = cluster.answer(self.command, self.path, json.loads(body or b"{}"))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        do_GET = do_POST = _any

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    cluster.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def submitted(
    folder: Path, cluster: Cluster, patience_s: float = 5.0, retries: int = 0, **spec: int
) -> int:
    (folder / "token").write_text("a-token\n")
    (folder / "namespace").write_text("corpora")
    job = folder / "ray-job.yaml"
    job.write_text(
        yaml.safe_dump({"kind": "RayJob", "metadata": {"name": "nightly"}, "spec": spec})
    )
    told = ["--name", "nightly-29", "--owner-uid", "u-1", "--api", cluster.base]
    limits = ["--account", str(folder), "--poll-s", "0.01", "--patience-s", str(patience_s)]
    return main([str(job), *told, *limits, "--retries", str(retries)])


def of_job(uid: str, spec: str) -> dict[str, Any]:
    """A RayJob as the Job with that uid made it."""
    return {"metadata": {"name": "nightly-29", "ownerReferences": [{"uid": uid}]}, "spec": spec}


RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
DONE = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}


def failed(code: int, log: str = "") -> dict[str, str]:
    """As Ray says it and KubeRay passes it on."""
    told = f"Job entrypoint command failed with exit code {code}, last available logs:\n{log}"
    return {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": told}


def test_a_run_is_created_under_the_jobs_name_belongs_to_it_and_is_waited_for(
    tmp_path: Path,
) -> None:
    with served(Cluster([{}, RUNNING, DONE])) as cluster:
        assert submitted(tmp_path, cluster) == EXIT_OK
    made = cluster.held["nightly-29"]["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-29", "uid": "u-1"}
    assert made["ownerReferences"] == [owner]
    assert cluster.asked == [f"POST {FOLDER}", *[f"GET {FOLDER}/nightly-29"] * 3]


def test_a_second_pod_waits_for_the_run_of_the_first(tmp_path: Path) -> None:
    with served(Cluster([RUNNING, DONE])) as cluster:
        cluster.held["nightly-29"] = of_job("u-1", "the first")
        assert submitted(tmp_path, cluster) == EXIT_OK
    assert cluster.held["nightly-29"]["spec"] == "the first"
    assert len(cluster.held) == 1


def test_the_run_of_a_deleted_job_of_that_name_is_not_taken_for_this_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Cluster([DONE])) as cluster:
        cluster.held["nightly-29"] = of_job("u-0", "of a week ago")
        assert submitted(tmp_path, cluster, patience_s=0.2) == EXIT_RUN_FAILED
        assert "is of another Job" in caplog.text
        threading.Timer(0.3, cluster.held.clear).start()  # as the garbage collector does
        assert submitted(tmp_path, cluster) == EXIT_OK
    assert cluster.held["nightly-29"]["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_a_run_of_another_job_that_goes_between_two_questions_is_not_this_ones_end(
    tmp_path: Path,
) -> None:
    with served(Cluster([DONE], leaving=True)) as cluster:
        cluster.held["nightly-29"] = of_job("u-0", "of a week ago")
        assert submitted(tmp_path, cluster) == EXIT_OK
    assert cluster.held["nightly-29"]["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_a_cluster_without_kuberay_is_told_as_such(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Cluster([DONE], troubles=[404, 404])) as cluster:
        assert submitted(tmp_path, cluster) == EXIT_RUN_FAILED
    assert "install KubeRay" in caplog.text


def test_a_server_that_is_away_for_a_moment_costs_nothing(tmp_path: Path) -> None:
    with served(Cluster([DONE], troubles=[503, 500, 429])) as cluster:
        assert submitted(tmp_path, cluster) == EXIT_OK
    assert len(cluster.held) == 1


def test_a_server_that_stays_away_ends_the_pod_so_that_another_may_try(tmp_path: Path) -> None:
    with served(Cluster([DONE], troubles=[503] * 10_000)) as cluster:
        assert submitted(tmp_path, cluster, patience_s=0.05) == EXIT_LOST_CONTACT
    assert not cluster.held


def test_what_no_other_pod_would_mend_has_its_own_exit_code(tmp_path: Path) -> None:
    failed = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "exit 2"}
    stopped = {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}
    for states in ([RUNNING, failed], [stopped]):
        with served(Cluster(list(states))) as cluster:
            assert submitted(tmp_path, cluster) == EXIT_RUN_FAILED
    with served(Cluster([DONE], troubles=[403])) as cluster:
        assert submitted(tmp_path, cluster) == EXIT_RUN_FAILED
    with served(Cluster([RUNNING], troubles=[])) as cluster:
        cluster.troubles = [201, 404]  # created, and deleted by a person
        assert submitted(tmp_path, cluster) == EXIT_RUN_FAILED


@pytest.mark.parametrize("code", [3, 70, 75, 130, -9])
def test_a_run_that_another_may_mend_is_tried_again_under_names_of_its_own(
    tmp_path: Path, code: int
) -> None:
    log = "entrypoint command failed with exit code 1"  # the log of a child, not the run's own
    with served(Cluster([RUNNING, failed(code, log), failed(code), DONE])) as cluster:
        assert submitted(tmp_path, cluster, retries=2) == EXIT_OK
    assert list(cluster.held) == ["nightly-29", "nightly-29-r1", "nightly-29-r2"]
    for made in cluster.held.values():
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["name"], owner["uid"]) == ("nightly-29", "u-1")


@pytest.mark.parametrize("code", [1, 2])
def test_a_run_that_would_end_the_same_way_is_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    with served(Cluster([RUNNING, failed(code), DONE])) as cluster:
        assert submitted(tmp_path, cluster, retries=2) == EXIT_RUN_FAILED
    assert list(cluster.held) == ["nightly-29"]
    assert "not tried again" in caplog.text
    assert f"(exit code {code})" in caplog.text


def test_a_death_without_an_exit_code_is_tried_again_and_a_deadline_or_a_stop_is_not(
    tmp_path: Path,
) -> None:
    lost = {"jobDeploymentStatus": "Failed", "jobStatus": "", "reason": "SubmissionFailed"}
    late = {"jobDeploymentStatus": "Failed", "jobStatus": "RUNNING", "reason": "DeadlineExceeded"}
    stopped = {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}
    invalid = {"jobDeploymentStatus": "ValidationFailed"}
    for ended, runs in ((lost, 2), (late, 1), (stopped, 1), (invalid, 1)):
        with served(Cluster([ended, DONE])) as cluster:
            code = submitted(tmp_path, cluster, retries=2)
        assert (code, len(cluster.held)) == (EXIT_OK if runs == 2 else EXIT_RUN_FAILED, runs)


def test_runs_that_always_fail_end_after_the_retries(tmp_path: Path) -> None:
    with served(Cluster([failed(70)])) as cluster:
        assert submitted(tmp_path, cluster, retries=2) == EXIT_RUN_FAILED
    assert len(cluster.held) == 3


def test_a_second_pod_goes_on_with_the_retry_of_the_first(tmp_path: Path) -> None:
    with served(Cluster([failed(3), RUNNING, DONE])) as cluster:
        for name in ("nightly-29", "nightly-29-r1"):
            cluster.held[name] = of_job("u-1", name)
        assert submitted(tmp_path, cluster, retries=2) == EXIT_OK
    assert len(cluster.held) == 2


def test_the_deadline_is_of_all_runs_together(tmp_path: Path) -> None:
    began = datetime.now(UTC) - timedelta(seconds=300)
    for deadline_s, runs in ((1000, 2), (200, 1)):
        created = began.strftime("%Y-%m-%dT%H:%M:%SZ")
        with served(Cluster([failed(3), DONE], created=created)) as cluster:
            submitted(tmp_path, cluster, retries=2, activeDeadlineSeconds=deadline_s)
        left = [made["spec"]["activeDeadlineSeconds"] for made in cluster.held.values()]
        assert len(left) == runs
        assert left[0] == deadline_s
        assert all(600 <= item <= 700 for item in left[1:])
