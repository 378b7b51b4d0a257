"""The sections of a job about language models: which, from where, and what they are told."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jobs.settings.price import Price
from jobs.settings.secret import Extra, Variable, secret_error

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EndpointSettings(_Model):
    """How a model is reached. Nothing here changes a reply; it stays out of every manifest.

    ``max_in_flight`` is for the whole build; ``processes`` workers share it.
    """

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    api_key_env: Variable = None  # the name of an environment variable
    also_named: tuple[str, ...] = ()  # other names under which the server answers
    max_in_flight: Count = 256
    processes: Count = 1
    timeout_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    patience_s: Seconds = 120.0
    max_attempts: Count = 5

    @field_validator("urls")
    @classmethod
    def _plain_addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("an endpoint is an address such as http://localhost:8000/v1")
            if parts.username or parts.password or parts.query:
                raise secret_error("no key belongs into an address; name it in api_key_env")
        return urls


class VllmSettings(_Model):
    """How a model is loaded in process. Of this, quantization and dtype change replies."""

    quantization: str = ""
    dtype: str = "auto"
    max_model_len: Annotated[int, Field(ge=0)] = 0
    tensor_parallel: Count = 1
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_in_flight: Count = 1024


class ModelSettings(_Model):
    """A model and how it is drawn from. ``extra`` are further fields of the request."""

    backend: Literal["endpoint", "vllm"] = "endpoint"
    model: str
    license: str = ""  # what it asks of the texts that it writes; changes no byte of them
    revision: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Count = 512
    json_mode: Literal["schema", "object", "none"] = "schema"
    send_seed: bool = True
    extra: Extra = {}
    context_tokens: Count | None = None  # what the model can read; asked of the server if not told
    endpoint: EndpointSettings | None = None
    vllm: VllmSettings = VllmSettings()
    price: Price | None = None


class SimilaritySettings(_Model):
    """A sentence model in a local folder, and the least cosine that a rewrite must reach.

    ``model`` is relative to the job file. The checksums are filled in; one that is given must be
    that of the file. ``langs`` are the languages that the model knows; others are not compared.
    """

    model: str = ""  # empty in a manifest, which holds no path
    min: Annotated[float, Field(ge=-1, le=1)] = 0.6
    langs: Annotated[tuple[str, ...], Field(min_length=1)] = ("en",)
    graph_sha256: str = ""
    tokenizer_sha256: str = ""


class RewriteChat(_Model):
    """How a model rewrites. A prompt is a path, or the text itself (more than one line).

    ``prompts`` are by language, ``source_prompts`` by source and language.
    """

    model: str
    max_asks: Count = 3
    prompts: dict[str, str] = {}
    source_prompts: dict[str, dict[str, str]] = {}
    keep: tuple[Literal["numbers", "names", "negation", "question"], ...] = (
        "numbers",
        "names",
        "negation",
        "question",
    )
    similarity: SimilaritySettings | None = None


class RespondChat(_Model):
    """How a model answers. ``reference``: whether it is shown the source's own answer."""

    model: str
    max_asks: Count = 3
    prompts: dict[str, str] = {}
    source_prompts: dict[str, dict[str, str]] = {}
    reference: Literal["show", "ignore"] = "ignore"
