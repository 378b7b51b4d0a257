"""The setting `rewrite.chat.similarity` on its way to a step: the model found, read and tried."""

import os
from pathlib import Path
from typing import Any

from jobs.settings.chat import RewriteChat, SimilaritySettings
from jobs.settings.job import JobSettings
from schemas.canonical import sha256_hex
from schemas.errors import BackendError, SettingsError
from transforms.backends.embedding import MAX_TOKENS, SentenceModel, read_files, require_libraries
from transforms.replies.similarity import Similarity

PLACE_ENV = "VOXMILL_SIMILARITY_MODEL"  # for replay: a manifest holds checksums and no path
TRIED = ("How do I bake bread?", "Can you tell me how to bake bread?")
LONG = "bread " * 2 * MAX_TOKENS


def settings_of(job: JobSettings) -> SimilaritySettings | None:
    """The setting, where the job rewrites by a model and has it."""
    rewrite = job.rewrite
    return rewrite.chat.similarity if rewrite.backend == "chat" and rewrite.chat else None


def with_similarity(job: JobSettings, folder: Path) -> JobSettings:
    """The job with its sentence model's place and checksums. ``folder`` is the job file's.

    Raises SettingsError or BackendError, with the cure, for a model that is not there.
    """
    told = settings_of(job)
    if told is None:
        return job
    if not told.model:
        raise SettingsError(
            "rewrite.chat.similarity.model: no model is named; give the folder that holds its "
            "model.onnx and tokenizer.json"
        )
    require_libraries()
    place = str((folder / Path(told.model).expanduser()).absolute())
    graph, tokenizer = (sha256_hex(data) for data in read_files(place))
    update = {
        "model": place,
        "graph_sha256": told.graph_sha256 or graph,
        "tokenizer_sha256": told.tokenizer_sha256 or tokenizer,
    }
    return _with(job, told.model_copy(update=update))


def without_similarity(job: JobSettings) -> JobSettings:
    """The job without the check."""
    return _with(job, None)


def _with(job: JobSettings, similarity: SimilaritySettings | None) -> JobSettings:
    assert job.rewrite.chat is not None
    chat = job.rewrite.chat.model_copy(update={"similarity": similarity})
    rewrite = job.rewrite.model_copy(update={"chat": chat})
    return job.model_copy(update={"rewrite": rewrite})


def similarity_of(chat: RewriteChat) -> Similarity | None:
    """The check of the step. Raises BackendError where a snapshot's model is nowhere told."""
    told = chat.similarity
    if told is None:
        return None
    require_libraries()
    place = told.model or os.environ.get(PLACE_ENV, "")
    if not place:
        raise BackendError(
            "the corpus was made with rewrite.chat.similarity, and its sentence model (graph "
            f"{told.graph_sha256[:16]}) is not told; set {PLACE_ENV} to the model's folder"
        )
    return Similarity(
        model=SentenceModel(
            folder=place,
            graph_sha256=told.graph_sha256,
            tokenizer_sha256=told.tokenizer_sha256,
        ),
        min=told.min,
        langs=told.langs,
    )


def try_similarity(job: JobSettings) -> str:
    """Load the model and embed short texts and a long one; what came of it. Raises BackendError."""
    chat = job.rewrite.chat
    similarity = similarity_of(chat) if chat is not None else None
    if similarity is None:
        return ""
    with similarity.model.open() as embedder:
        cosine = embedder.cosine(*TRIED)
        embedder.embed(LONG)
    return f"{cosine:.2f} between {TRIED[0]!r} and {TRIED[1]!r}, the least is {similarity.min:g}"


def without_place(settings: dict[str, Any]) -> None:
    """Take the model's path out of a manifest's settings, and the whole key where it is off."""
    chat = settings["rewrite"].get("chat")
    if chat is None:
        return
    if chat["similarity"] is None:
        del chat["similarity"]  # a manifest from before the setting stays as it was
    else:
        del chat["similarity"]["model"]
