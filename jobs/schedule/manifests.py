"""Everything that a schedule needs in a cluster: account, rights, files, and the CronJob."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from jobs.schedule.pods import Object, small_pod
from jobs.schedule.ray_job import ray_job
from jobs.schedule.text import to_yaml
from jobs.settings.schedule import ScheduleSettings
from schemas.errors import SettingsError
from transforms.step import Resources

# A RayJob may have 47 letters (KubeRay builds longer names from it); a CronJob adds up to 11, and
# a run that is tried again "-r20".
MAX_NAME: Final = 32
SUBMIT_FOLDER: Final = "/etc/voxmill/ray-job"
RAY_JOB_FILE: Final = "ray-job.yaml"
EXIT_RUN_FAILED: Final = 42  # of jobs.schedule.submit: another pod would not help
POD_RETRIES: Final = 6  # of the pod that waits, if its machine goes away
OPERATOR_S: Final = 1800  # beyond a run's own deadline, which begins when KubeRay takes it up


def manifests(
    name: str, told: ScheduleSettings, files: Mapping[str, bytes], steps: Sequence[Resources]
) -> list[Object]:
    """The objects in the order in which they are applied."""
    called = kube_name(name)
    labels = {
        "app.kubernetes.io/name": "voxmill",
        "app.kubernetes.io/instance": called,
        "app.kubernetes.io/managed-by": "voxmill-schedule",
    }
    folder = _config_map(f"{called}-job", told, labels, files)
    job = ray_job(told, called, labels, folder["metadata"]["name"], steps)
    text = to_yaml([job]).encode()
    submitted = _config_map(f"{called}-ray-job", told, labels, {RAY_JOB_FILE: text})
    account = f"{called}-submit"
    return [
        *_account(account, told, labels),
        folder,
        submitted,
        _cron_job(called, told, labels, account, submitted["metadata"]["name"]),
    ]


def kube_name(name: str) -> str:
    """A job's name as Kubernetes takes one: short, lower case; a long one ends in its hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain:
        raise SettingsError(
            f"setting 'name': {name!r:.80} has no letter a-z or digit that Kubernetes takes in a "
            "name; give the job one that has"
        )
    if len(plain) <= MAX_NAME:
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: MAX_NAME - 9].rstrip('-')}-{mark}"


def _meta(name: str, told: ScheduleSettings, labels: Object) -> Object:
    return {"name": name, "namespace": told.namespace, "labels": dict(labels)}


def _config_map(
    name: str, told: ScheduleSettings, labels: Object, files: Mapping[str, bytes]
) -> Object:
    """Named by its content and immutable: a run that began keeps the files that it began with."""
    data, binary = {}, {}
    mark = hashlib.sha256()
    for file, content in sorted(files.items()):
        mark.update(f"{file}\0{len(content)}\0".encode() + content)
        try:
            data[file] = content.decode("utf-8")
        except UnicodeDecodeError:
            binary[file] = base64.b64encode(content).decode("ascii")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(f"{name}-{mark.hexdigest()[:10]}", told, labels),
        "immutable": True,
        **({"data": data} if data else {}),
        **({"binaryData": binary} if binary else {}),
    }


def _account(name: str, told: ScheduleSettings, labels: Object) -> list[Object]:
    """What the waiting pod may do: create a RayJob and look at it, in its own namespace."""
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _meta(name, told, labels),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": _meta(name, told, labels),
            "rules": [
                {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]}
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": _meta(name, told, labels),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": told.namespace}],
        },
    ]


def _cron_job(
    name: str, told: ScheduleSettings, labels: Object, account: str, config: str
) -> Object:
    arguments = [f"{SUBMIT_FOLDER}/{RAY_JOB_FILE}", "--name", "$(JOB_NAME)"]
    container = {
        "name": "submit",
        "command": ["python", "-m", "jobs.schedule.submit"],
        "args": [*arguments, "--owner-uid", "$(JOB_UID)", "--retries", str(told.retries)],
        "env": [
            _label("JOB_NAME", "batch.kubernetes.io/job-name"),
            _label("JOB_UID", "batch.kubernetes.io/controller-uid"),
        ],
        "volumeMounts": [{"name": "ray-job", "mountPath": SUBMIT_FOLDER, "readOnly": True}],
    }
    pod = small_pod(
        told,
        container,
        serviceAccountName=account,
        automountServiceAccountToken=True,
        volumes=[{"name": "ray-job", "configMap": {"name": config}}],
    )
    ends = {"containerName": "submit", "operator": "In", "values": [EXIT_RUN_FAILED]}
    job = {
        "backoffLimit": POD_RETRIES,
        "activeDeadlineSeconds": told.deadline_s + OPERATOR_S,  # where no operator runs at all
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": ends}]},
        "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _meta(name, told, labels),
        "spec": {
            "schedule": told.cron,
            "timeZone": told.time_zone,
            "suspend": told.suspend,
            "concurrencyPolicy": told.concurrency,
            "startingDeadlineSeconds": told.start_within_s,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": dict(labels)}, "spec": job},
        },
    }


def _label(variable: str, label: str) -> Object:
    path = f"metadata.labels['{label}']"
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
