"""The RayJob of a scheduled build: a Ray cluster that is there for one run."""

import importlib.metadata
import shlex
from collections.abc import Sequence
from typing import Any

from jobs.schedule.bundle import JOB_FILE
from jobs.schedule.pods import JOB_FOLDER, Object, quantities, ray_pod, sized, small_pod
from jobs.settings.schedule import PodSettings, ScheduleSettings
from transforms.step import Resources

WAIT_S = 900  # for worker pods, whose image may have to be pulled


def entrypoint(told: ScheduleSettings, steps: Sequence[Resources]) -> str:
    """What the cluster runs: the same build as by hand, on the Ray around it.

    Where pods may be added, it asks for as many workers as the most pods hold: else a pool stays
    as large as the cluster is when it begins.
    """
    command = ["voxmill", "build", f"{JOB_FOLDER}/{JOB_FILE}", "--engine", "ray", "--quiet"]
    command += ["--set", "engine.ray.address=auto", "--set", f"engine.ray.wait_s={WAIT_S}"]
    if _grows(told):
        cpus, _, _ = sized(told.workers, [item for item in steps if item.gpus == 0])
        most = max(1, told.workers.max * int(cpus))
        command += ["--set", f"engine.ray.max_workers={most}"]
    return shlex.join([*command, "--json"])


def _grows(told: ScheduleSettings) -> bool:
    return any(pods.min < pods.max for pods in (told.workers, told.gpu_workers))


def ray_job(
    told: ScheduleSettings, name: str, labels: Object, config: str, steps: Sequence[Resources]
) -> Object:
    """The RayJob. ``config`` is the ConfigMap of the job's folder.

    The head takes no step. GPU pods are there only if a step wants a GPU.
    """
    head = quantities(told.head.cpus, told.head.memory_mb)
    cluster: Object = {
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
            "template": ray_pod(told, "ray-head", head, labels, config),
        },
        "workerGroupSpecs": _groups(told, labels, config, steps),
    }
    if _grows(told):
        cluster["enableInTreeAutoscaling"] = True
    version = _ray_version()
    if version is not None:
        cluster["rayVersion"] = version
    submitter = small_pod(told, {"name": "ray-job-submitter"}, automountServiceAccountToken=False)
    submitter["containers"][0]["resources"] = quantities(0.5, 512)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name, "namespace": told.namespace, "labels": dict(labels)},
        "spec": {
            "entrypoint": entrypoint(told, steps),
            "backoffLimit": 0,  # the pod that waits tries again, where that may help
            "activeDeadlineSeconds": told.deadline_s,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": told.keep_s,
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": {"metadata": {"labels": dict(labels)}, "spec": submitter},
            "rayClusterSpec": cluster,
        },
    }


def _groups(
    told: ScheduleSettings, labels: Object, config: str, steps: Sequence[Resources]
) -> list[Object]:
    plain = [item for item in steps if item.gpus == 0]
    wanting = [item for item in steps if item.gpus > 0]
    groups = [_group("cpu", told, told.workers, plain, labels, config)]
    if wanting:
        groups.append(_group("gpu", told, told.gpu_workers, wanting, labels, config))
    return groups


def _group(
    name: str,
    told: ScheduleSettings,
    pods: PodSettings,
    steps: Sequence[Resources],
    labels: Object,
    config: str,
) -> Object:
    cpus, memory_mb, gpus = sized(pods, steps)
    template = ray_pod(told, "ray-worker", quantities(cpus, memory_mb, gpus), labels, config)
    spec: dict[str, Any] = template["spec"]
    if pods.node_selector:
        spec["nodeSelector"] = dict(pods.node_selector)
    if gpus:
        taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        spec["tolerations"] = [taint]
    return {
        "groupName": name,
        "replicas": pods.min,
        "minReplicas": pods.min,
        "maxReplicas": pods.max,
        "rayStartParams": {},
        "template": template,
    }


def _ray_version() -> str | None:
    """The version that the image has too, since both follow the same pins; None without Ray."""
    try:
        return importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return None
