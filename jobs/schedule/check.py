"""What is written for a cluster is checked here first, without one: by Kubernetes' own schemas.

kubernetes-validate has those of the built-in kinds. A RayJob's schema is in KubeRay's CRD, which
is given as a file; without it the RayJob's pods are checked, and the rest of it is not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from jobs.schedule.pods import Object
from schemas.errors import BackendError, SchemaError, SettingsError

KUBERNETES: Final = "1.31"  # podFailurePolicy is stable from there on


def check_objects(objects: list[Object], ray_job: Object, crd: Path | None, version: str) -> None:
    """Raise SchemaError for what a cluster of this version would refuse or silently drop."""
    try:
        import kubernetes_validate
    except ModuleNotFoundError as error:
        raise BackendError(
            "nothing is written for a cluster unchecked, and kubernetes-validate is not there; "
            "run pip install -c constraints.txt -e '.[schedule]'"
        ) from error
    pods = [{"apiVersion": "v1", "kind": "PodTemplate", **item} for item in _pods(ray_job)]
    for item in (*objects, *pods):
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(map(str, error.path))
            raise SchemaError(
                f"{item['kind']} {_name(item)}: {place}: {error.message:.300} (by the schemas of "
                f"Kubernetes {error.version})"
            ) from error
        except (kubernetes_validate.SchemaNotFoundError, _unsupported()) as error:
            raise SettingsError(
                f"--kubernetes {version}: kubernetes-validate has no schemas of it for a "
                f"{item['kind']}; wanted a version such as {KUBERNETES}"
            ) from error
    if crd is not None:
        version = ray_job["apiVersion"].partition("/")[2]
        check_ray_job(ray_job, ray_schema(crd, version), str(crd))


def check_ray_job(ray_job: Object, schema: Object, crd: str) -> None:
    """Raise SchemaError unless the RayJob holds by the schema of a CRD, ``crd`` by name."""
    import jsonschema

    # Draft 4 is the dialect of OpenAPI 3.0, in which CRDs are written
    found = list(jsonschema.Draft4Validator(schema).iter_errors(ray_job))
    if found:
        told = "\n  ".join(
            f"{'.'.join(map(str, item.absolute_path))}: {item.message:.300}" for item in found[:5]
        )
        raise SchemaError(f"RayJob {_name(ray_job)}: by the CRD {crd}: {told}")


def ray_schema(crd: Path, version: str) -> Object:
    """A RayJob's schema from KubeRay's CRD, with unknown fields forbidden."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = list(yaml.load_all(crd.read_text(encoding="utf-8"), Loader=loader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"--crd {crd}: cannot be read: {error}; give the YAML file ray.io_rayjobs.yaml of your "
            "KubeRay release, or leave --crd out"
        ) from error
    for item in filter(None, documents):
        if isinstance(item, dict) and item.get("kind") == "CustomResourceDefinition":
            spec = item.get("spec", {})
            if spec.get("names", {}).get("kind") != "RayJob":
                continue
            for served in spec.get("versions", ()):
                if served.get("name") == version and served.get("served"):
                    closed: Object = _strict(served["schema"]["openAPIV3Schema"])
                    return closed
    raise SettingsError(
        f"--crd {crd}: holds no CustomResourceDefinition of a RayJob that serves {version}; wanted "
        "KubeRay's file ray.io_rayjobs.yaml"
    )


def _strict(schema: Any) -> Any:  # noqa: ANN401 - a JSON schema
    """The schema with unknown fields forbidden: a cluster drops them without a word."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(value) for key, value in schema.items() if key != "properties"}
    if isinstance(schema.get("properties"), dict):
        closed["properties"] = {key: _strict(x) for key, x in schema["properties"].items()}
        free = schema.get("x-kubernetes-preserve-unknown-fields")
        if "additionalProperties" not in schema and not free:
            closed["additionalProperties"] = False
    return closed


def _pods(ray_job: Object) -> Iterator[Object]:
    """The pod templates inside a RayJob, each as a template on its own."""
    spec = ray_job["spec"]
    cluster = spec["rayClusterSpec"]
    named = [("submitter", spec["submitterPodTemplate"])]
    named.append(("head", cluster["headGroupSpec"]["template"]))
    named += [(group["groupName"], group["template"]) for group in cluster["workerGroupSpecs"]]
    for name, template in named:
        yield {"metadata": {"name": f"{_name(ray_job)}-{name}"}, "template": template}


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _unsupported() -> type[Exception]:
    from kubernetes_validate.utils import VersionNotSupportedError

    kind: type[Exception] = VersionNotSupportedError
    return kind
