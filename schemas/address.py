"""Where a store is and how it is reached, without secrets: what jobs hand to worker processes."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlparse

from schemas.errors import SettingsError

OBJECT_SCHEMES: Final = ("s3", "gs", "az", "memory")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class ObjectMeta:
    """One object: ``path`` in its store, ``size`` in bytes, ``modified_s`` since 1970 by the store.

    ``etag`` changes when the content does; it is opaque, and "" where a listing gives none.
    """

    path: str
    size: int
    etag: str
    modified_s: float


@dataclass(frozen=True)
class Unfinished:
    """Something half written that no reader sees: a temporary file, an open multipart upload."""

    path: str
    token: str
    modified_s: float


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How an object store is reached. None: the store's usual environment and defaults decide.

    ``profile`` names a section of ~/.aws/credentials and ~/.aws/config. ``virtual_hosted`` puts the
    bucket into the host name and not into the path. ``anonymous`` signs nothing. ``timeout_s`` is
    of one request without its retries; ``retry_s`` bounds an operation with all of them.
    No secret is in here: keys come from the environment, the profile or the machine's role.
    """

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    virtual_hosted: bool | None = None
    allow_http: bool | None = None
    anonymous: bool = False
    timeout_s: float = 60.0
    retry_s: float = 120.0

    def __post_init__(self) -> None:
        """Raise SettingsError for an endpoint that is no address."""
        if self.endpoint is not None:
            check_endpoint("output.store.endpoint", self.endpoint)


@dataclass(frozen=True)
class StoreAddress:
    """A store that any process can open: a path or an address, and its options."""

    uri: str
    options: StoreOptions = StoreOptions()

    def below(self, folder: str) -> "StoreAddress":
        """The store of a folder inside this one."""
        return StoreAddress(f"{self.uri.rstrip('/')}/{folder}", self.options)


def check_endpoint(who: str, endpoint: str) -> None:
    """Raise SettingsError unless an endpoint is http(s)://HOST; one with a user is not repeated."""
    parsed = urlparse(endpoint)
    shown = "(not repeated, it holds a user or a query)" if _secret(endpoint) else f"'{endpoint}'"
    if parsed.scheme not in ("http", "https") or not parsed.hostname or _secret(endpoint):
        raise SettingsError(
            f"{who} {shown}: wanted an address such as https://s3.example.com or "
            "http://127.0.0.1:9000; keys belong into the environment"
        )


def _secret(address: str) -> bool:
    parsed = urlparse(address)
    return "@" in parsed.netloc or bool(parsed.query or parsed.fragment)


def check_no_secret(who: str, uri: str) -> None:
    """Raise SettingsError for an address with a password or a query, and do not repeat it."""
    parsed = urlparse(uri)
    if parsed.query or ":" in parsed.netloc.rpartition("@")[0]:
        raise SettingsError(
            f"{who} {parsed.scheme}://...: an address holds no password and no query, which would "
            "stand in plans and errors; give keys as that service takes them, such as by the "
            "environment or a configuration file"
        )


def scheme_of(uri: str) -> str:
    """The scheme of an address, in lower case; "" for a path."""
    return urlparse(uri).scheme.lower() if _SCHEME.match(uri) else ""


def object_place(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and prefix of an object store's address. Raises SettingsError.

    An address with a user, a password or a query is refused, and not repeated: it may be a secret.
    """
    parsed = urlparse(uri)
    scheme = parsed.scheme.lower()
    if _secret(uri):
        raise SettingsError(
            f"{scheme}://...: an address holds a bucket and a folder, and neither keys nor options;"
            " give keys by the environment (AWS_PROFILE and its kin), options by output.store"
        )
    prefix = unquote(parsed.path).strip("/")
    if not parsed.netloc:
        raise SettingsError(
            f"output '{uri}': no bucket; write {scheme}://BUCKET/FOLDER, such as {scheme}://corpora/en"
        )
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise SettingsError(
            f"output '{uri}': an empty, '.' or '..' folder; write {scheme}://BUCKET/FOLDER"
        )
    return scheme, parsed.netloc, prefix
