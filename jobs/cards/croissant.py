"""The Croissant description of a snapshot: JSON-LD that dataset tools read.

Croissant 1.0 (mlcommons.org/croissant/1.0): every shard and index file with its sha256, and the
index as a record set, a record per sample. The shards' own samples have no extraction in Croissant
that fits members which differ from sample to sample; trainers read them by the index.
"""

from typing import Any, Final

from jobs.cards.license import Granted
from jobs.cards.names import plain_name
from jobs.report.corpus import Corpus
from schemas.snapshot import Manifest

CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
INDEX: Final = "index"
COLUMNS: Final = (  # of the index, whose values are plain
    ("key", "sc:Text", "the sample's key: the source row's id"),
    ("split", "sc:Text", "train or eval"),
    ("lang", "sc:Text", "ISO 639-1 code"),
    ("source", "sc:Text", "name of the source"),
    ("source_id", "sc:Text", "the row's own id there"),
    ("license", "sc:Text", "of the source row"),
    ("duration_s", "sc:Float", "of all turns, in seconds"),
    ("num_dropped", "sc:Integer", "turns of the source row that do not ship"),
    ("shard", "sc:Text", "name of the shard"),
    ("offset", "sc:Integer", "where the sample starts in the shard, in bytes"),
    ("length", "sc:Integer", "of the sample in the shard, in bytes"),
)


def croissant(manifest: Manifest, stats: Corpus, granted: Granted) -> dict[str, Any]:
    """The description as a JSON value. It says nothing of when and where the corpus was made."""
    counts, name = manifest["counts"], plain_name(manifest)
    value: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": (
            f"Spoken instructions and answers made by Voxmill: {counts['accepted']:,} samples, "
            f"{stats.seconds / 3600:.2f} hours of speech. Identity {manifest['identity']}."
        ),
        "version": f"{manifest['version']}.0.0",
        "license": license_address(granted),
        "inLanguage": stats.langs,
        "citeAs": f"{name}, version {manifest['version']}, identity {manifest['identity']}",
        "isLiveDataset": False,
        "distribution": [
            *_files(manifest),
            {
                "@type": "cr:FileSet",
                "@id": INDEX,
                "name": INDEX,
                "description": "one Parquet file per shard, a row per sample",
                "encodingFormat": "application/x-parquet",
                "includes": [f"index/{shard['index']}" for shard in manifest["shards"]],
            },
        ],
        "recordSet": [_records()] if manifest["shards"] else [],
    }
    if not manifest["shards"]:
        value["distribution"] = []
    return value


def license_address(granted: Granted) -> str:
    """An address for the license where SPDX or Creative Commons has one, else its name."""
    return (
        f"https://spdx.org/licenses/{SPDX[granted.license]}.html"
        if (granted.publishable and granted.license in SPDX)
        else ("unknown - may not be published" if not granted.publishable else granted.license)
    )


SPDX: Final = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "gpl-3.0": "GPL-3.0-or-later",
}


def _files(manifest: Manifest) -> list[dict[str, Any]]:
    found = []
    for shard in manifest["shards"]:
        for folder, name, sha256, kind in (
            ("shards", shard["name"], shard["sha256"], "application/x-tar"),
            ("index", shard["index"], shard["index_sha256"], "application/x-parquet"),
        ):
            entry: dict[str, Any] = {
                "@type": "cr:FileObject",
                "@id": f"{folder}/{name}",
                "name": f"{folder}/{name}",
                "contentUrl": f"{folder}/{name}",
                "encodingFormat": kind,
                "sha256": sha256,
            }
            if folder == "shards":
                entry["contentSize"] = f"{shard['bytes']} B"
            found.append(entry)
    return found


def _records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "a record per sample, from the index; its sound is in the shard it names",
        "key": {"@id": "samples/key"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"samples/{name}",
                "name": f"samples/{name}",
                "description": words,
                "dataType": kind,
                "source": {"fileSet": {"@id": INDEX}, "extract": {"column": name}},
            }
            for name, kind, words in COLUMNS
        ],
    }
