"""`voxmill schedule`: what it writes a cluster would take, and what cannot run there is refused."""

import copy
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.schedule.bundle import Bundle, bundle_of
from jobs.schedule.check import check_objects, check_ray_job, ray_schema
from jobs.schedule.manifests import MAX_NAME, RAY_JOB_FILE, kube_name
from jobs.schedule.ray_job import ray_job
from jobs.schedule.text import to_yaml
from jobs.schedule.write import Scheduled, check_keys, schedule
from jobs.settings.jobfile import load_overridden, validate
from jobs.settings.schedule import MACROS, ScheduleSettings, check_cron
from schemas.errors import SchemaError, SettingsError, VoxmillError
from tests.jobs.small import FAST_BANK, rows, voxmill, write_job
from transforms.step import Resources

CRD = Path(__file__).parents[3] / "shared" / "data" / "kuberay" / "ray.io_rayjobs.yaml"
CRON = "15 3 * * 1-5"
IMAGE = "registry.example/voxmill:0.1.0"
needs_crd = pytest.mark.skipif(not CRD.exists(), reason=f"KubeRay's CRD is not at {CRD}")


def scheduled(folder: Path, crd: Path | None = None, **told: Any) -> Scheduled:
    """A small job under a schedule; ``told`` are settings of that section."""
    job = write_job(
        folder, rows(3), schedule={"cron": CRON, "image": IMAGE, "namespace": "corpora", **told}
    )
    return schedule(job, [], source=None, output="s3://bucket/corpus", crd=crd, kubernetes="1.31")


def objects_of(done: Scheduled) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for item in yaml.safe_load_all(done.text):
        found.setdefault(item["kind"], []).append(item)
    return found


def ray_job_of(done: Scheduled) -> dict[str, Any]:
    (data,) = (
        item["data"] for item in objects_of(done)["ConfigMap"] if RAY_JOB_FILE in item["data"]
    )
    value: dict[str, Any] = yaml.safe_load(data[RAY_JOB_FILE])
    return value


@needs_crd
def test_what_is_written_holds_by_kubernetes_and_by_kuberays_own_schema(tmp_path: Path) -> None:
    done = scheduled(
        tmp_path,
        CRD,
        secrets=["bucket-keys"],
        secret_env={"S2S_API_KEY": {"secret": "models", "key": "key"}},
        env={"AWS_REGION": "eu-central-1"},
        service_account="corpus-builder",
        image_pull_secrets=["registry"],
        workers={"min": 1, "max": 8, "node_selector": {"pool": "cpu"}},
    )
    assert done.value["checked_by_crd"]
    assert "engine.ray.max_workers=32" in done.value["entrypoint"]  # 8 pods of 4 cores
    made, schema = ray_job_of(done), ray_schema(CRD, "v1")
    for damage in (
        lambda job: job["spec"].update(entrypont="x"),
        lambda job: job["spec"].update(backoffLimit="two"),
        lambda job: job["spec"]["rayClusterSpec"].pop("headGroupSpec"),
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].pop("template"),
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"].update(rayStartParam={}),
    ):
        hurt = copy.deepcopy(made)
        damage(hurt)  # type: ignore[no-untyped-call]
        with pytest.raises(SchemaError, match="by the CRD"):
            check_ray_job(hurt, schema, "ray.io_rayjobs.yaml")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "schedul"), "x"),
        (("spec", "jobTemplate", "spec", "backoffLimit"), "six"),
    ],
)
def test_a_damaged_object_is_not_written(
    tmp_path: Path, place: tuple[str, ...], value: str
) -> None:
    done = scheduled(tmp_path)
    objects = [item for items in objects_of(done).values() for item in items]
    (cron,) = (item for item in objects if item["kind"] == "CronJob")
    holder = cron
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    with pytest.raises(SchemaError, match="CronJob small"):
        check_objects(objects, ray_job_of(done), None, "1.31")


def test_a_damaged_ray_pod_is_found_without_the_crd(tmp_path: Path) -> None:
    made = ray_job_of(scheduled(tmp_path))
    pod = made["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    pod["containers"][0]["resource"] = {}
    with pytest.raises(SchemaError, match="PodTemplate small-cpu"):
        check_objects([], made, None, "1.31")


def test_the_job_travels_whole_with_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    bank = tmp_path / "deep" / "fast.yaml"
    bank.write_bytes(FAST_BANK.read_bytes())
    job = write_job(tmp_path, rows(3), voices={"bank": "deep/fast.yaml"})
    done = schedule(
        job,
        [f"schedule.cron={CRON}", f"schedule.image={IMAGE}", "units.clusters=7"],
        source=None,
        output="s3://bucket/corpus",
        crd=None,
        kubernetes="1.31",
    )
    folder = next(m for m in objects_of(done)["ConfigMap"] if "job.yaml" in m["data"])
    assert folder["data"]["fast.yaml"] == bank.read_text()
    assert folder["data"]["rows.jsonl"] == (tmp_path / "rows.jsonl").read_text()
    told = validate(yaml.safe_load(folder["data"]["job.yaml"]), "the job in the pod")
    assert told.model_dump()["voices"]["bank"] == "fast.yaml"
    assert told.model_dump()["units"]["clusters"] == 7
    assert told.output.uri == "s3://bucket/corpus"
    assert "schedule" not in yaml.safe_load(folder["data"]["job.yaml"])
    words = shlex.split(done.value["entrypoint"])
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod" / "job.yaml").write_text(folder["data"]["job.yaml"])
    said = [words[number + 1] for number, word in enumerate(words) if word == "--set"]
    in_pod = load_overridden(tmp_path / "pod" / "job.yaml", said, engine="ray")
    assert in_pod.engine.ray.address == "auto"


def test_a_changed_file_changes_the_name_of_its_config_map_and_what_runs(tmp_path: Path) -> None:
    first = scheduled(tmp_path)
    again = scheduled(tmp_path)
    (tmp_path / "b").mkdir()
    other = schedule(
        write_job(tmp_path / "b", rows(4), schedule={"cron": CRON, "image": IMAGE}),
        ["schedule.namespace=corpora"],
        source=None,
        output="s3://bucket/corpus",
        crd=None,
        kubernetes="1.31",
    )
    names = [[m["metadata"]["name"] for m in objects_of(d)["ConfigMap"]] for d in (first, other)]
    assert first.text == again.text
    assert not set(names[0]) & set(names[1])
    mounted = objects_of(other)["CronJob"][0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert mounted["volumes"][0]["configMap"]["name"] in names[1]


def test_pods_run_without_rights_and_secrets_are_names(tmp_path: Path) -> None:
    done = scheduled(
        tmp_path, secrets=["keys"], secret_env={"S2S_API_KEY": {"secret": "models", "key": "k"}}
    )
    run = ray_job_of(done)["spec"]
    cron = objects_of(done)["CronJob"][0]["spec"]
    cluster = run["rayClusterSpec"]
    pods = [
        cron["jobTemplate"]["spec"]["template"]["spec"],
        run["submitterPodTemplate"]["spec"],
        cluster["headGroupSpec"]["template"]["spec"],
        *(group["template"]["spec"] for group in cluster["workerGroupSpecs"]),
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["containers"][0]["image"] == IMAGE
    for pod in pods[2:]:
        assert {"secretRef": {"name": "keys"}} in pod["containers"][0]["envFrom"]
        assert not pod["automountServiceAccountToken"]
    assert "envFrom" not in pods[0]["containers"][0]
    assert "max_workers" not in run["entrypoint"]
    rules = objects_of(done)["Role"][0]["rules"]
    assert rules == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]}
    ]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert run["backoffLimit"] == 0
    assert cron["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == [
        "--retries",
        "2",
    ]


def test_gpu_pods_are_there_where_a_step_wants_one(tmp_path: Path) -> None:
    told = ScheduleSettings(cron=CRON, image=IMAGE)
    plain, gpu = Resources(cpus=2, memory_mb=3000), Resources(gpus=2, memory_mb=40_000)
    without = ray_job(told, "n", {}, "c", [plain])["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    both = ray_job(told, "n", {}, "c", [plain, gpu])["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert [group["groupName"] for group in without] == ["cpu"]
    assert [group["groupName"] for group in both] == ["cpu", "gpu"]
    limits = both[1]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "2"
    assert int(limits["memory"].removesuffix("Mi")) >= 4 * 40_000
    assert both[1]["template"]["spec"]["tolerations"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"cron": None}, "schedule.cron"),
        ({"image": None}, "schedule.image"),
        ({"image": "voxmill"}, "can change between two runs"),
        ({"image": "voxmill:latest"}, "can change between two runs"),
        ({"cron": "61 * * * *"}, "minute '61'"),
        ({"cron": "* * * *"}, "4 fields"),
        ({"concurrency": "Allow"}, "schedule.concurrency"),
        ({"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}, "that of a secret"),
        ({"env": {"OPENAI_APIKEY": "hunter2"}}, "that of a secret"),
        ({"env": {"MONGO_CREDENTIALS": "hunter2"}}, "that of a secret"),
        ({"env": {"QUEUE": "amqp://voxmill:hunter2@queue:5672"}}, "QUEUE: its value is a secret"),
        ({"workers": {"min": 3, "max": 2}}, "min is 3"),
        ({"namespace": "Big_Letters"}, "schedule.namespace"),
        ({"secrts": []}, "did you mean 'secrets'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_by_its_setting(
    tmp_path: Path, told: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        scheduled(tmp_path, **told)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "output", "words"),
    [
        ("seed=1", "corpus", "every pod would have its own"),
        ("output.work=/tmp/work", "s3://b/c", "output.work"),
        ("source.path=.", "s3://b/c", "source.path"),
        ("source.path=none.jsonl", "s3://b/c", "No such file"),
        ("output.store.profile=mine", "s3://b/c", "output.store.profile"),
        ("output.store.endpoint=http://127.0.0.1:9000", "s3://b/c", "the pod itself"),
    ],
)
def test_a_job_that_cannot_run_in_a_pod_is_refused_with_the_cure(
    tmp_path: Path, change: str, output: str, words: str
) -> None:
    job = write_job(tmp_path, rows(2), schedule={"cron": CRON, "image": IMAGE})
    with pytest.raises(VoxmillError) as refused:
        schedule(job, [change], source=None, output=output, crd=None, kubernetes="1.31")
    assert words in str(refused.value)


SHARED = {"drop": ["ALL"]}
SERVER = "endpoint: {urls: ['http://llm.models:8000/v1'], api_key_env: S2S_API_KEY}"


def test_a_models_key_has_to_come_from_a_secret(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(2), schedule={"cron": CRON, "image": IMAGE})
    changes = [f"models.writer={{model: m, {SERVER}}}"]
    secret = "schedule.secret_env={S2S_API_KEY: {secret: models, key: k}}"
    for more in ([secret], ["schedule.secrets=[models]"]):
        told = load_overridden(job, [*changes, *more], output="s3://b/c")
        assert told.schedule is not None
        check_keys(told, told.schedule)
    with pytest.raises(SettingsError, match=r"models\.writer takes its key .* S2S_API_KEY"):
        schedule(job, changes, source=None, output="s3://b/c", crd=None, kubernetes="1.31")


def test_folders_of_models_and_clips_beside_a_bank_belong_into_the_image(tmp_path: Path) -> None:
    bundle = Bundle()
    for told in (
        "units={backend: hubert, name: h, layer: 6, clusters: 8, model: hubert}",
        "checks.asr={kind: whisper, path: tiny}",
        "checks.mos={path: mos.yaml}",
        "backends.v={kind: vits, path: vits}",
    ):
        job = load_overridden(write_job(tmp_path, rows(2)), [told], output="s3://b/c")
        with pytest.raises(SettingsError, match="put the model into the image"):
            bundle_of(job, tmp_path)
    with pytest.raises(SettingsError, match="put the model into the image"):
        bundle.take("backends.vits.path", "models/vits", tmp_path)
    assert bundle.take("backends.vits.path", "/models/vits", tmp_path) == "/models/vits"
    (tmp_path / "bank.yaml").write_text("voices: [{id: a, reference: a.wav}]")
    with pytest.raises(SettingsError, match="reference clips"):
        bundle.take("voices.bank", "bank.yaml", tmp_path)


def test_a_source_too_large_for_a_config_map_is_named(tmp_path: Path) -> None:
    job = write_job(tmp_path, ["x" * 1_000_000], schedule={"cron": CRON, "image": IMAGE})
    with pytest.raises(SettingsError, match=r"rows\.jsonl: put it into a bucket"):
        schedule(job, [], source=None, output="s3://b/c", crd=None, kubernetes="1.31")


def test_the_command_writes_a_file_and_says_what_was_not_checked(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(2))
    done = voxmill(
        *("schedule", job, "--to", "k8s", "--output", "s3://b/c", "--json"),
        *("--set", f"schedule.cron={CRON}", "--set", f"schedule.image={IMAGE}"),
        *("--file", tmp_path / "cron.yaml"),
    )
    assert done.code == 0
    assert "CronJob/small" in done.last_json["objects"]
    assert "--crd" in done.err
    kinds = [item["kind"] for item in yaml.safe_load_all((tmp_path / "cron.yaml").read_text())]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "ConfigMap", "ConfigMap", "CronJob"]


def test_what_is_written_can_be_read_and_holds_each_file_byte_for_byte(tmp_path: Path) -> None:
    text = "a: 1\n\ttab, trailing  \n'quotes' \\ 语料 \u200b\r\nend without newline"
    done = yaml.safe_load(to_yaml([{"file": text, "twice": [SHARED, SHARED]}]))
    assert done == {"file": text, "twice": [SHARED, SHARED]}
    written = scheduled(tmp_path).text
    assert "&id" not in written
    assert "ray-job.yaml: |" in written


def test_a_pod_that_waits_for_an_operator_that_never_comes_is_ended(tmp_path: Path) -> None:
    """Or no later run would start, with concurrency Forbid."""
    done = scheduled(tmp_path, deadline_s=1000)
    (cron,) = objects_of(done)["CronJob"]
    assert ray_job_of(done)["spec"]["activeDeadlineSeconds"] == 1000
    assert cron["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 1000


def test_names_become_such_as_kubernetes_takes() -> None:
    long = "instruct_s2s_" + "long" * 20
    assert kube_name("Instruct_S2S sample") == "instruct-s2s-sample"
    assert len(kube_name(long)) <= MAX_NAME
    assert kube_name(long) != kube_name(long + "er")
    with pytest.raises(SettingsError, match="'name'"):
        kube_name("语料")


def test_cron_lines_are_judged_field_by_field() -> None:
    for good in ("0 3 * * *", "*/15 0-6,22 1 JAN-MAR mon", "0 0 29 2 7", "5,10-20/5 * ? * *"):
        check_cron(good)
    for bad in ("0 24 * * *", "0 3 0 * *", "0 3 * 13 *", "0 3 * * 8", "*/0 * * * *", "9-3 * * * *"):
        with pytest.raises(ValueError, match="wanted"):
            check_cron(bad)
    assert ScheduleSettings(cron="@daily").cron in MACROS


def test_a_crd_that_is_not_there_is_named_with_the_cure(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(2))
    done = voxmill(
        *("schedule", job, "--to", "k8s", "--output", "s3://b/c", "--crd", tmp_path / "nope"),
        *("--set", f"schedule.cron={CRON}", "--set", f"schedule.image={IMAGE}"),
    )
    assert done.code == 2
    assert "or leave --crd out" in done.err
