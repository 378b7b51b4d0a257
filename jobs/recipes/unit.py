"""The section `units` on its way to a pipeline's nodes: models found, read by their headers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from jobs.commands.checksums import remembered_sha256
from jobs.settings.unit import Units
from pipelines.unit_nodes import UnitPlan
from schemas.errors import BackendError, SettingsError
from schemas.unitset import EXTRACTED
from transforms.backends.tts_tokens import SLACK_FRAMES
from transforms.backends.units.codec import codec_from
from transforms.backends.units.hubert import HubertFeatures, hubert_from
from transforms.backends.units.program import program_from
from transforms.backends.units.protocol import CodeModel, Described
from transforms.backends.units.s3 import S3Tokens, s3_from
from transforms.cluster_units import ClusterUnits
from transforms.clustering.files import check_shape, read_centroids
from transforms.codec_units import CodecUnits
from transforms.fit_centroids import CentroidFile, FitCentroids
from transforms.own_units import OwnUnits
from transforms.step import Resources

PLACE_ENV: Final = "VOXMILL_UNITS_MODEL"  # for replay: a manifest holds checksums and no path
AUDIO_RATE_HZ: Final = 16000
GPU: Final = Resources(gpus=1.0, batch_rows=256, memory_mb=4000)
CPU: Final = Resources(batch_rows=16, memory_mb=2000)
Model: TypeAlias = HubertFeatures | CodeModel


@dataclass(frozen=True, kw_only=True)
class ToldUnits:
    """A job's units with its paths made whole and its files' checksums, and what is made of it."""

    settings: Units
    plan: UnitPlan | None  # None: MFCC


def told_units(units: Units, folder: Path, seed: int, absent: list[str] | None = None) -> ToldUnits:
    """Read what the job names. ``folder`` is the job file's.

    Raises SettingsError or BackendError, with the cure, for a model or centroids that are not
    there, or do not fit each other. With ``absent``, a list, what is not there is told in it, and
    stood in for: for a plan, which may be made where no model is.
    """
    try:
        return _told(units, folder, seed)
    except BackendError as error:
        if absent is None:
            raise
        absent.append(f"{error}; fingerprints of kmeans and units are not those of a build")
        return ToldUnits(settings=units, plan=_stand_in(units, seed))


def _told(units: Units, folder: Path, seed: int) -> ToldUnits:
    if units.backend == "mfcc":
        return ToldUnits(settings=units, plan=None)
    if units.backend == "own":
        raise SettingsError(
            "units.backend own: this pipeline speaks nothing, so there is no speech model whose "
            "tokens could be kept; extract units from the audio with backend hubert, codec or s3"
        )
    model = _model(units, _place(units, folder))
    sha256 = model.described.model_sha256
    if units.model_sha256 not in (None, sha256):
        where = units.model or os.environ.get(PLACE_ENV)
        raise BackendError(
            f"units.model: {where} has the sha256 {sha256[:16]}, the job wants "
            f"{str(units.model_sha256)[:16]}; give that model, or correct units.model_sha256"
        )
    _check_rate(units, model.described)
    if not isinstance(model, HubertFeatures):
        told = units.model_copy(update={"model_sha256": sha256})
        return ToldUnits(settings=told, plan=UnitPlan(step=_codec(units, model)))
    given, clusters = _centroids(units, folder, model)
    told = units.model_copy(
        update={
            "model_sha256": sha256,
            "clusters": clusters,
            "centroids_sha256": None if given is None else given.sha256,
        }
    )
    return ToldUnits(settings=told, plan=_clustered(told, model, given, seed))


def without_unit_places(units: Units) -> Units:
    """What a manifest keeps: no path of this machine."""
    if units.backend == "own":  # its model is the name of a file of the voices'
        return units
    return units.model_copy(update={"model": None, "centroids": None})


def _place(units: Units, folder: Path) -> Path:
    named = units.model or os.environ.get(PLACE_ENV, "")
    if not named:
        raise BackendError(
            f"the corpus was made with the units {units.name} of a model (sha256 "
            f"{str(units.model_sha256)[:16]}) whose place is not told; set {PLACE_ENV} to it"
        )
    place = (folder / Path(named).expanduser()).absolute()
    if not place.exists():
        raise BackendError(
            f"units.model: there is no {place}; copy the model there, or correct the path "
            "(docs/units.md says where models come from and how they are converted)"
        )
    return place


def _model(units: Units, place: Path) -> Model:
    device = units.device or "cpu"
    if units.backend == "hubert":
        assert units.layer is not None
        return hubert_from(
            place,
            units.layer,
            normalize=units.normalize,
            device=device,
            dtype=units.dtype or "float32",
            sha256=remembered_sha256,
        )
    if units.backend == "s3":
        return s3_from(
            place,
            round(units.frame_rate_hz or 25),
            units.codebook_size or 6561,
            sha256=remembered_sha256,
        )
    if place.suffix in (".yaml", ".yml"):
        if units.codebooks is not None or device != "cpu":
            raise SettingsError(
                "units: an exported program has the codebooks of its contract, and runs on the "
                "CPU; remove units.codebooks and units.device"
            )
        return program_from(place, sha256=remembered_sha256)
    return codec_from(place, units.codebooks, device=device, sha256=remembered_sha256)


def _check_rate(units: Units, told: Described) -> None:
    rate = told.sample_rate_hz / told.hop_samples
    if units.frame_rate_hz is not None and abs(rate - units.frame_rate_hz) > 0.01:
        raise SettingsError(
            f"units.frame_rate_hz: the job wants {units.frame_rate_hz:g} frames per second, "
            f"{units.model} gives {rate:g}; give another model, or correct the rate"
        )


def _centroids(
    units: Units, folder: Path, model: HubertFeatures
) -> tuple[CentroidFile | None, int]:
    """The file that the job names, checked against the model, and the number of clusters."""
    if units.centroids is None:
        if units.centroids_sha256 is not None:  # a manifest's: they are among its artifacts
            assert units.clusters is not None
            return CentroidFile(path="", sha256=units.centroids_sha256), units.clusters
        assert units.clusters is not None
        return None, units.clusters
    path = (folder / Path(units.centroids).expanduser()).absolute()
    who = "units.centroids"
    if not path.is_file():
        raise BackendError(
            f"{who}: there is no {path}; a k-means of fairseq becomes one by `voxmill units "
            "import-kmeans FILE --output centroids.safetensors`"
        )
    _, found = read_centroids(path, who)
    shape = (found.shape[0], found.shape[1])
    check_shape(shape, units.clusters, model.dimensions, f"{who}: {path}")
    sha256 = remembered_sha256(path)
    if units.centroids_sha256 not in (None, sha256):
        raise BackendError(
            f"{who}: {path} has the sha256 {sha256[:16]}, the job wants "
            f"{str(units.centroids_sha256)[:16]}; give that file, or correct the checksum"
        )
    return CentroidFile(path=str(path), sha256=sha256), shape[0]


def _clustered(
    units: Units, model: HubertFeatures, given: CentroidFile | None, seed: int
) -> UnitPlan:
    assert units.name is not None
    assert units.clusters is not None
    rate = units.audio_rate_hz or AUDIO_RATE_HZ
    step = ClusterUnits(
        model=model,
        set_name=units.name,
        num_clusters=units.clusters,
        roles=units.roles,
        collapse=units.collapse or "run_length",
        audio_rate_hz=rate,
        units_per_s=units.units_per_s,
        resources=GPU if model.gpus else CPU,
    )
    fit = FitCentroids(
        model=model,
        seed=seed,
        num_clusters=units.clusters,
        max_frames=units.num_frames,
        roles=units.roles,
        audio_rate_hz=rate,
        given=given,
        method=units.fit or "torch",
        device=model.device,
    )
    return UnitPlan(step=step, fit=fit)


def _codec(units: Units, model: CodeModel) -> CodecUnits:
    assert units.name is not None
    return CodecUnits(
        model=model,
        set_name=units.name,
        roles=units.roles,
        collapse=units.collapse or "none",
        audio_rate_hz=units.audio_rate_hz or AUDIO_RATE_HZ,
        resources=GPU if model.gpus else CPU,
    )


def own_plan(units: Units) -> ToldUnits:
    """The speech model's own tokens, of which jobs/recipes/own.py has told all."""
    assert units.name is not None
    assert units.frame_rate_hz is not None
    step = OwnUnits(
        set_name=units.name,
        told=Described(
            model=units.model or "",
            model_sha256=units.model_sha256 or "",
            sample_rate_hz=AUDIO_RATE_HZ,
            hop_samples=round(AUDIO_RATE_HZ / units.frame_rate_hz),
            grid="ceil",
            num_codebooks=units.codebooks or 1,
            codebook_size=units.codebook_size or 0,
        ),
        roles=units.roles,
        slack_frames=SLACK_FRAMES if units.slack_frames is None else units.slack_frames,
        audio_rate_hz=AUDIO_RATE_HZ,
    )
    return ToldUnits(settings=units, plan=UnitPlan(step=step))


def _stand_in(units: Units, seed: int) -> UnitPlan:
    """Nodes of the right names and edges, for a model that is not here."""
    if units.backend == "hubert":
        clusters = units.clusters or 2
        given = None if units.centroids is None else CentroidFile(path="", sha256="")
        told = units.model_copy(update={"clusters": clusters})
        return _clustered(told, _unseen(units), given, seed)
    codec = S3Tokens(path="", graph_sha256="", frame_rate_hz=25, codebook_size=6561)
    return UnitPlan(step=_codec(units, codec))


def _unseen(units: Units) -> HubertFeatures:
    """HuBERT base's shape."""
    return HubertFeatures(
        folder="",
        weights_sha256="",
        config_sha256="",
        architecture="hubert",
        layer=units.layer or 1,
        dimensions=768,
        sample_rate_hz=16000,
        window_samples=400,
        hop_samples=320,
        normalize=False,
        device=units.device or "cpu",
    )


def contract_words(plan: UnitPlan) -> str:
    """A unit set in a line, for doctor."""
    told = plan.step.unit_set("")
    words = [
        told.name,
        f"{told.frame_rate_hz:g} frames per second",
        f"frames(n) = {told.frames_words()}",
        f"{told.num_codebooks} x {told.codebook_size} codes",
    ]
    if told.layer is not None:
        words.append(f"layer {told.layer} of {told.model}, input {told.normalization}")
    return ", ".join(words if told.provenance == EXTRACTED else [*words, told.provenance])
