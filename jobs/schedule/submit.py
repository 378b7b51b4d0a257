"""In the cluster: `python -m jobs.schedule.submit` creates a run's RayJob and waits for its end.

It runs in the pod of a Kubernetes Job. The RayJob has the Job's name and belongs to it: a pod that
is started again finds the RayJob of the pod before it and goes on waiting, and what deletes the
Job (a replaced run, the history limit) ends the RayJob too.
"""

import argparse
import json
import logging
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

logger = logging.getLogger(__name__)
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXIT_OK, EXIT_LOST_CONTACT, EXIT_RUN_FAILED = 0, 1, 42
FAILED: Final = ("Failed", "ValidationFailed")
TIMEOUT_S = 30.0


class Refused(Exception):
    """The API server understood the request and will not do it."""


@dataclass(frozen=True)
class Api:
    """The API server as a pod sees it: the token is read anew each time, because it is renewed."""

    base: str
    account: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and answer. Raises OSError where there is none, Refused for 400 and 403."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data)
        request.add_header("Authorization", f"Bearer {self._read('token')}")
        request.add_header("Content-Type", "application/json")
        context = None
        if self.base.startswith("https:"):
            context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
                return int(answer.status), json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read(4096).decode("utf-8", "replace")
            if error.code in (400, 403, 422):
                raise Refused(f"the API server answered {error.code}: {told}") from error
            if error.code in (404, 409):
                return error.code, {}
            raise OSError(f"the API server answered {error.code}: {told}") from error

    @property
    def namespace(self) -> str:
        """The pod's own."""
        return self._read("namespace")

    def _read(self, name: str) -> str:
        return (self.account / name).read_text(encoding="utf-8").strip()


def submit(
    api: Api,
    ray_job: dict[str, Any],
    name: str,
    owner_uid: str,
    *,
    poll_s: float,
    patience_s: float,
) -> int:
    """Create the RayJob ``name`` unless it is there, and wait. The exit code says how it ended.

    EXIT_LOST_CONTACT if the API server cannot be reached for ``patience_s``: then the pod may be
    started again. EXIT_RUN_FAILED if nothing would be better in another pod.
    """
    folder = f"/apis/ray.io/v1/namespaces/{api.namespace}/rayjobs"
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": owner_uid}
    wanted = {**ray_job, "metadata": {**ray_job["metadata"], "name": name}}
    wanted["metadata"]["ownerReferences"] = [owner]
    created, shown, heard, began = False, "", time.monotonic(), time.monotonic()
    while True:
        try:
            if not created:
                code, _ = api.ask(folder, wanted)
                if code == 404:
                    raise Refused(
                        "this cluster knows no RayJob; install KubeRay, whose CRD says what it is"
                    )
                created = True
                logger.warning("rayjob %s %s", name, "stands" if code == 409 else "created")
            code, found = api.ask(f"{folder}/{name}")
            heard = time.monotonic()
        except Refused as error:
            logger.error("rayjob %s: %s", name, error)
            return EXIT_RUN_FAILED
        except (OSError, ValueError) as error:
            if time.monotonic() - heard > patience_s:
                logger.error("rayjob %s: %s; giving up after %g s", name, error, patience_s)
                return EXIT_LOST_CONTACT
            logger.warning("rayjob %s: %s; trying again", name, error)
            time.sleep(poll_s)
            continue
        if code == 404:
            logger.error("rayjob %s was deleted while it ran", name)
            return EXIT_RUN_FAILED
        if owner_uid not in _owners(found):  # of a deleted Job of that name: it goes in a moment
            if time.monotonic() - began > patience_s:
                logger.error("rayjob %s is of another Job; delete it, then run this again", name)
                return EXIT_RUN_FAILED
            created = False
            time.sleep(poll_s)
            continue
        status = found.get("status") or {}
        state = f"{status.get('jobDeploymentStatus', '')} {status.get('jobStatus', '')}".strip()
        if state != shown:
            shown = state
            logger.warning("rayjob %s: %s", name, state or "waiting for the operator")
        if status.get("jobDeploymentStatus") == "Complete":
            return EXIT_OK if status.get("jobStatus") == "SUCCEEDED" else _failed(name, status)
        if status.get("jobDeploymentStatus") in FAILED:
            return _failed(name, status)
        time.sleep(poll_s)


def _owners(found: dict[str, Any]) -> list[str]:
    """The uids of what a RayJob belongs to."""
    return [item["uid"] for item in found["metadata"].get("ownerReferences", ())]


def _failed(name: str, status: dict[str, Any]) -> int:
    logger.error(
        "rayjob %s failed: %s %s; see `kubectl logs job/%s`, then run it again: "
        "finished work is kept",
        *(name, status.get("reason", ""), status.get("message", ""), name),
    )
    return EXIT_RUN_FAILED


def main(arguments: list[str] | None = None) -> int:
    """Read the RayJob from a file, submit it, wait."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    parser = argparse.ArgumentParser("python -m jobs.schedule.submit", description=__doc__)
    parser.add_argument("ray_job", type=Path, help="the RayJob, YAML")
    parser.add_argument("--name", required=True, help="its name: that of the Kubernetes Job")
    parser.add_argument("--owner-uid", required=True, help="the uid of the Kubernetes Job")
    parser.add_argument("--api", help="the API server (default: the cluster's own)")
    parser.add_argument("--account", type=Path, default=ACCOUNT, help="token, namespace, ca.crt")
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
        api, ray_job, told.name, told.owner_uid, poll_s=told.poll_s, patience_s=told.patience_s
    )


if __name__ == "__main__":
    sys.exit(main())
