"""`voxmill units import-kmeans` and `import-hubert`: what fairseq saved, as jobs take it."""

import argparse
from pathlib import Path

from schemas.canonical import sha256_hex
from schemas.errors import BackendError, SettingsError
from transforms.backends.units.fairseq_hubert import import_hubert
from transforms.clustering.files import centroid_bytes, centroids_of
from transforms.clustering.joblib_file import read_kmeans


def add_units_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command and its options."""
    units = commands.add_parser("units", help="centroids and models from other programs")
    kinds = units.add_subparsers(required=True, metavar="WHAT")
    kmeans = kinds.add_parser(
        "import-kmeans",
        help="a k-means that joblib saved, as fairseq's learn_kmeans.py does, or an .npy",
        description="Reads the centroids out of the file without running any of it.",
    )
    kmeans.add_argument(
        "file", type=Path, help="such as mhubert_base_vp_en_es_fr_it3_L11_km1000.bin"
    )
    kmeans.add_argument("--output", type=Path, required=True, metavar="FILE", help="safetensors")
    kmeans.add_argument("--clusters", type=int, metavar="K", help="refuse any other number")
    kmeans.add_argument("--dimensions", type=int, metavar="D", help="refuse any other number")
    kmeans.set_defaults(command=_import_kmeans)
    hubert = kinds.add_parser(
        "import-hubert",
        help="a HuBERT that fairseq pretrained, as a folder for units.model",
        description="Reads the weights out of the checkpoint without running any of it.",
    )
    hubert.add_argument("file", type=Path, help="such as mhubert_base_vp_en_es_fr_it3.pt")
    hubert.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    hubert.set_defaults(command=_import_hubert)


def _import_kmeans(options: argparse.Namespace) -> int:
    print(  # noqa: T201 - a command's result
        import_kmeans(options.file, options.output, options.clusters, options.dimensions)
    )
    return 0


def _import_hubert(options: argparse.Namespace) -> int:
    print(import_hubert(options.file, options.output))  # noqa: T201 - a command's result
    return 0


def import_kmeans(
    file: Path, output: Path, clusters: int | None = None, dimensions: int | None = None
) -> str:
    """Write the centroids; what was read and written. Raises BackendError and SettingsError."""
    who = str(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BackendError(
            f"{who}: it cannot be read ({error.strerror}); give the file that joblib or numpy "
            "saved the centroids in"
        ) from error
    plain = data[:6] == b"\x93NUMPY" or b"voxmill-centroids" in data[:4096]
    found = centroids_of(data, who) if plain else read_kmeans(data, who)
    num, dims = found.shape
    if clusters is not None and num != clusters:
        raise SettingsError(f"{who}: it holds {num} centroids, --clusters asked for {clusters}")
    if dimensions is not None and dims != dimensions:
        raise SettingsError(
            f"{who}: its centroids have {dims} dimensions, --dimensions asked for {dimensions}"
        )
    made = centroid_bytes(found, {"source_sha256": sha256_hex(data)})
    centroids_of(made, who)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(made)
    return f"{output}: {num} centroids of {dims} dimensions, sha256 {sha256_hex(made)}"
