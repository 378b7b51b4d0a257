"""Opens a source: its raw rows, and the adapter that makes conversations of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from jobs.sources import alpaca_eval
from jobs.sources.adapters import Adapter, get_adapter
from jobs.sources.files import read_raw
from jobs.sources.llama_omni import adapt_llama_omni
from jobs.sources.parts import AudioFolder
from jobs.sources.raw import BadRow, RawRow
from jobs.sources.s2s_parquet import adapt_rounds, read_rounds
from jobs.sources.settings import SourceSettings
from jobs.sources.stored import stored_files
from jobs.sources.voxmill import adapt_sample, read_corpus
from jobs.sources.webdataset import EXTENSIONS, adapt_tar_sample, read_tars
from schemas.snapshot import chosen_snapshot
from schemas.store import open_store

Opened: TypeAlias = tuple[Iterator[RawRow | BadRow], Adapter]
AUDIO_LAYOUTS: Final = {
    "voxmill": "a Voxmill corpus",
    "webdataset": "WebDataset tars: members 00.user.flac, 01.assistant.flac, json or txt",
    "llama_omni": "conversation: from, text, speech, unit",
    "s2s_parquet": "id, round, question, question_audio, answer, answer_audio, speech_token",
}


def open_source(settings: SourceSettings) -> Opened:
    """The raw rows, lazily, and their adapter. Raises SettingsError for an unknown adapter."""
    path, unit_set = settings.path, settings.unit_set
    if settings.adapter == "voxmill":
        store = open_store(settings.at(path))
        return read_corpus(store, chosen_snapshot(store, settings.version)), adapt_sample
    if settings.adapter == "webdataset":
        rows = read_tars(stored_files(path, EXTENSIONS, settings.options))
        return rows, lambda value, defaults: adapt_tar_sample(
            value, defaults, settings.members, unit_set
        )
    if settings.adapter == "llama_omni":
        folder = AudioFolder(settings.at(settings.audio_folder or _folder_of(path)))
        return read_raw(path, settings.options), lambda value, defaults: adapt_llama_omni(
            value, defaults, folder, unit_set
        )
    if settings.adapter == "s2s_parquet":
        folder = AudioFolder(settings.at(settings.audio_folder or _folder_of(path)))
        return read_rounds(
            read_raw(path, settings.options), settings.columns
        ), lambda value, defaults: adapt_rounds(value, defaults, settings.columns, folder, unit_set)
    if settings.adapter == alpaca_eval.WHO:
        adapt = alpaca_eval.adapter(settings.categories, settings.options)
        return read_raw(path, settings.options), adapt
    known = (*AUDIO_LAYOUTS, alpaca_eval.WHO)
    return read_raw(path, settings.options), get_adapter(settings.adapter, known)


def _folder_of(path: Path | str) -> str:
    """The folder that holds a file; a folder is its own."""
    if isinstance(path, Path):
        return str(path if path.is_dir() else path.parent)
    return path if "." not in path.rpartition("/")[2] else path.rpartition("/")[0]
