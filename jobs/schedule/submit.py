"""In the cluster: `python -m jobs.schedule.submit` creates a run's RayJob and waits for its end.

It runs in the pod of a Kubernetes Job. The RayJob has the Job's name and belongs to it: a pod that
is started again finds the RayJob of the pod before it and goes on waiting, and what deletes the
Job (a replaced run, the history limit) ends the RayJob too.

A run that failed is tried again, in a RayJob NAME-r1, NAME-r2, unless its exit code says that the
next would end as it did. KubeRay's own retries know no exit code; Ray tells it in its message.
"""

import argparse
import copy
import logging
import os
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from jobs.schedule.api import Api, Refused

logger = logging.getLogger(__name__)
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXIT_OK, EXIT_LOST_CONTACT, EXIT_RUN_FAILED = 0, 1, 42
NO_KUBERAY: Final = "this cluster knows no RayJob; install KubeRay, whose CRD says what it is"
FAILED: Final = ("Failed", "ValidationFailed")
# As Ray says it, which KubeRay passes on; the end of the log may follow.
EXIT_CODE: Final = re.compile(r"entrypoint command failed with exit code (-?\d+)")
SAME_AGAIN: Final = {  # of `voxmill build`
    1: "too few rows were accepted (exit code 1)",
    2: "its settings, source, store or backends have to be mended first (exit code 2)",
}


def submit(
    api: Api,
    ray_job: dict[str, Any],
    name: str,
    owner_uid: str,
    *,
    poll_s: float,
    patience_s: float,
    retries: int = 0,
) -> int:
    """Create the RayJob ``name`` unless it is there, and wait. The exit code says how it ended.

    A run that failed is tried again, at most ``retries`` times, where that may help and while the
    job's ``activeDeadlineSeconds`` last, which are of all runs.
    EXIT_LOST_CONTACT if the API server cannot be reached for ``patience_s``: then the pod may be
    started again. EXIT_RUN_FAILED if nothing would be better in another pod.
    """
    began_s: float | None = None
    for attempt in range(retries + 1):
        called = f"{name}-r{attempt}" if attempt else name
        wanted = copy.deepcopy(ray_job)
        deadline_s = wanted["spec"].get("activeDeadlineSeconds")
        if deadline_s is not None and began_s is not None:
            left_s = deadline_s - int(time.time() - began_s)
            if left_s <= 0:
                logger.error("rayjob %s: no time is left for it", called)
                return EXIT_RUN_FAILED
            wanted["spec"]["activeDeadlineSeconds"] = left_s
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": owner_uid}
        wanted["metadata"] |= {"name": called, "ownerReferences": [owner]}
        run = _Run(api, called, owner_uid, poll_s, patience_s)
        code = run.waited(wanted)
        if code is not None:
            return code
        why = no_better(run.status)
        if why is not None:
            logger.error("rayjob %s: not tried again: %s", called, why)
            return EXIT_RUN_FAILED
        began_s = began_s or run.created_s
    return EXIT_RUN_FAILED


def no_better(status: dict[str, Any]) -> str | None:
    """Why another run would end as this one did; None where it may do better."""
    if status.get("jobDeploymentStatus") == "ValidationFailed":
        return "KubeRay does not take it"
    if status.get("reason") == "DeadlineExceeded":
        return "its time is over"
    if status.get("jobStatus") == "STOPPED":
        return "somebody stopped it"
    told = EXIT_CODE.search(status.get("message") or "")
    return SAME_AGAIN.get(int(told[1])) if told else None


@dataclass
class _Run:
    """One RayJob. ``status`` is the last that was seen, ``created_s`` by the API server's clock."""

    api: Api
    name: str
    owner_uid: str
    poll_s: float
    patience_s: float
    status: dict[str, Any] = field(default_factory=dict)
    created_s: float = field(default_factory=time.time)

    def waited(self, wanted: dict[str, Any]) -> int | None:
        """Create it unless it is there, and wait: the exit code, or None if the run failed."""
        folder = f"/apis/ray.io/v1/namespaces/{self.api.namespace}/rayjobs"
        name = self.name
        created, shown, heard, began = False, "", time.monotonic(), time.monotonic()
        strange = False  # it stood before, and is not seen to be this Job's
        while True:
            try:
                if not created:
                    code, _ = self.api.ask(folder, wanted)
                    if code == 404:
                        raise Refused(NO_KUBERAY)
                    created, strange = True, code == 409
                    logger.warning("rayjob %s %s", name, "stands" if code == 409 else "created")
                code, found = self.api.ask(f"{folder}/{name}")
                heard = time.monotonic()
            except Refused as error:
                logger.error("rayjob %s: %s", name, error)
                return EXIT_RUN_FAILED
            except (OSError, ValueError) as error:
                if time.monotonic() - heard > self.patience_s:
                    logger.error(
                        "rayjob %s: %s; giving up after %g s", name, error, self.patience_s
                    )
                    return EXIT_LOST_CONTACT
                logger.warning("rayjob %s: %s; trying again", name, error)
                time.sleep(self.poll_s)
                continue
            if code == 404 and not strange:
                logger.error("rayjob %s was deleted while it ran", name)
                return EXIT_RUN_FAILED
            if code == 404 or self.owner_uid not in _owners(found):  # of a deleted Job: it goes
                if time.monotonic() - began > self.patience_s:
                    logger.error(
                        "rayjob %s is of another Job; delete it, then run this again", name
                    )
                    return EXIT_RUN_FAILED
                created = False
                time.sleep(self.poll_s)
                continue
            strange = False
            self.status = status = found.get("status") or {}
            self.created_s = _created_s(found) or self.created_s
            state = f"{status.get('jobDeploymentStatus', '')} {status.get('jobStatus', '')}".strip()
            if state != shown:
                shown = state
                logger.warning("rayjob %s: %s", name, state or "waiting for the operator")
            if status.get("jobDeploymentStatus") == "Complete":
                if status.get("jobStatus") == "SUCCEEDED":
                    return EXIT_OK
                _failed(name, status)
                return None
            if status.get("jobDeploymentStatus") in FAILED:
                _failed(name, status)
                return None
            time.sleep(self.poll_s)


def _owners(found: dict[str, Any]) -> list[str]:
    """The uids of what a RayJob belongs to."""
    return [item["uid"] for item in found["metadata"].get("ownerReferences", ())]


def _created_s(found: dict[str, Any]) -> float | None:
    """When a RayJob was created, in seconds since 1970."""
    told = found["metadata"].get("creationTimestamp")
    return None if told is None else datetime.fromisoformat(told).timestamp()


def _failed(name: str, status: dict[str, Any]) -> None:
    logger.error(
        "rayjob %s failed: %s %s; see `kubectl logs job/%s`, then run it again: "
        "finished work is kept",
        *(name, status.get("reason", ""), status.get("message", ""), name),
    )


def main(arguments: list[str] | None = None) -> int:
    """Read the RayJob from a file, submit it, wait."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    parser = argparse.ArgumentParser("python -m jobs.schedule.submit", description=__doc__)
    parser.add_argument("ray_job", type=Path, help="the RayJob, YAML")
    parser.add_argument("--name", required=True, help="its name: that of the Kubernetes Job")
    parser.add_argument("--owner-uid", required=True, help="the uid of the Kubernetes Job")
    parser.add_argument("--api", help="the API server (default: the cluster's own)")
    parser.add_argument("--account", type=Path, default=ACCOUNT, help="token, namespace, ca.crt")
    parser.add_argument("--retries", type=int, default=0, help="of a run that failed")
    parser.add_argument("--poll-s", type=float, default=15.0)
    parser.add_argument("--patience-s", type=float, default=600.0)
    told = parser.parse_args(arguments)
    base = told.api or "https://{}:{}".format(
        os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"),
        os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    ray_job = yaml.safe_load(told.ray_job.read_text(encoding="utf-8"))
    api = Api(base.rstrip("/"), told.account)
    return submit(
        api,
        ray_job,
        told.name,
        told.owner_uid,
        poll_s=told.poll_s,
        patience_s=told.patience_s,
        retries=told.retries,
    )


if __name__ == "__main__":
    sys.exit(main())
