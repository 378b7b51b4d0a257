"""The pods of a scheduled build: how large they are, what they see, and how little they may do."""

import math
from collections.abc import Iterable
from typing import Any, Final

from jobs.settings.schedule import PodSettings, ScheduleSettings
from transforms.step import Resources

Object = dict[str, Any]
JOB_FOLDER: Final = "/etc/voxmill/job"
USER_ID: Final = 10001  # of the image, see the Dockerfile
MIN_CPUS: Final = 4
MIN_MEMORY_MB: Final = 2048
SPARE: Final = 1.4  # Ray's object store and daemons beside the steps
POD_SECURITY: Final[Object] = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Final[Object] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def quantities(cpus: float, memory_mb: int, gpus: int = 0) -> Object:
    """Requests and limits alike: Ray takes a pod's limits for what it may use."""
    amount: Object = {"cpu": f"{cpus:g}", "memory": f"{memory_mb}Mi"}
    if gpus:
        amount["nvidia.com/gpu"] = str(gpus)
    return {"requests": dict(amount), "limits": dict(amount)}


def sized(told: PodSettings, steps: Iterable[Resources]) -> tuple[float, int, int]:
    """CPUs, memory in MiB and GPUs of a pod that these steps can share; ``told`` stands above."""
    needs = list(steps)
    cpus = told.cpus or max([MIN_CPUS, *(math.ceil(item.cpus) for item in needs)])
    dearest = max((item.memory_mb / max(item.cpus, 0.1) for item in needs), default=0)
    wanted = max(MIN_MEMORY_MB, SPARE * cpus * dearest, *(SPARE * x.memory_mb for x in needs), 0)
    memory_mb = told.memory_mb or 512 * math.ceil(wanted / 512)
    gpus = told.gpus or max((math.ceil(item.gpus) for item in needs), default=0)
    return cpus, memory_mb, gpus


def environment_of(told: ScheduleSettings) -> Object:
    """``env`` and ``envFrom`` of the pods that build: secrets by reference alone."""
    open_values = {"RAY_USAGE_STATS_ENABLED": "0", **told.env}  # Ray would phone home
    env: list[Object] = [{"name": name, "value": value} for name, value in open_values.items()]
    for name, entry in told.secret_env.items():
        reference = {"name": entry.secret, "key": entry.key}
        env.append({"name": name, "valueFrom": {"secretKeyRef": reference}})
    env_from = [{"secretRef": {"name": name}} for name in told.secrets]
    return {"env": env, **({"envFrom": env_from} if env_from else {})}


def ray_pod(
    told: ScheduleSettings, container: str, resources: Object, labels: Object, config: str
) -> Object:
    """The template of a Ray pod that sees the job's folder and its secrets."""
    spec: Object = {
        "automountServiceAccountToken": told.service_account is not None,
        "securityContext": dict(POD_SECURITY),
        "containers": [
            {
                "name": container,
                "image": told.image,
                "resources": resources,
                "securityContext": dict(CONTAINER_SECURITY),
                **environment_of(told),
                "volumeMounts": [{"name": "job", "mountPath": JOB_FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "job", "configMap": {"name": config}}],
    }
    if told.service_account is not None:
        spec["serviceAccountName"] = told.service_account
    if told.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in told.image_pull_secrets]
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def small_pod(told: ScheduleSettings, container: Object, **spec: Any) -> Object:  # noqa: ANN401
    """The spec of a pod that only asks others to work."""
    pod: Object = {
        "restartPolicy": "Never",
        "securityContext": dict(POD_SECURITY),
        "containers": [
            {
                "image": told.image,
                "resources": quantities(0.25, 256),
                "securityContext": dict(CONTAINER_SECURITY),
                **container,
            }
        ],
        **spec,
    }
    if told.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in told.image_pull_secrets]
    return pod
