"""Megatron-Energon: the shards, with the metadata that energon's own preparation makes."""

import contextlib
import io
from pathlib import Path

import yaml

from jobs.export import webdataset
from jobs.export.corpus import Corpus
from schemas.errors import SettingsError

FOR_WHOM = "Megatron-Energon (NVIDIA)"
OPENED_BY = """\
from megatron.energon import WorkerConfig, get_train_dataset
get_train_dataset("FOLDER", batch_size=None, shuffle_buffer_size=None,
    max_samples_per_sequence=None, task_encoder=...,
    worker_config=WorkerConfig.default_worker_config())"""
LOST = "what webdataset loses; samples are crude (a dict of members), to be cooked by your encoder"
PARTS = {"train": "train", "eval": "val"}


def write(corpus: Corpus, folder: Path) -> int:
    """SPLIT/*.tar, .nv-meta/, and an index beside each tar.

    Raises SettingsError where megatron-energon is not installed.
    """
    try:
        from megatron.energon.flavors.webdataset import BaseWebdatasetFactory
    except ImportError as error:
        raise SettingsError(
            "--to energon: the package megatron-energon prepares the metadata and is not "
            "installed; run `pip install 'voxmill[energon]'`"
        ) from error
    count = webdataset.write(corpus, folder)
    paths = [
        f"{split}/{shard['name']}" for split in corpus.splits for shard in corpus.shards(split)
    ]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        BaseWebdatasetFactory.prepare_dataset(
            folder,
            paths,
            split_parts_patterns=[
                (PARTS.get(split, split), f"{split}/.*") for split in corpus.splits
            ],
            shuffle_seed=None,
            workers=1,
        )
    if not (folder / ".nv-meta" / "split.yaml").is_file():
        raise SettingsError(f"--to energon: its preparation failed: {told.getvalue()[-500:]}")
    dataset = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
    (folder / ".nv-meta" / "dataset.yaml").write_text(yaml.safe_dump(dataset))
    return count
