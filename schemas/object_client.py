"""Connections to buckets: one per process, bucket and options, so that all stores share them."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from schemas.address import StoreOptions
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MAX_RETRIES: Final = 8  # of one request, by the client: 0.1 s, doubled each time, with jitter
MAX_BACKOFF_S: Final = 10.0
_CLIENTS: dict[tuple[object, ...], "ObjectStore"] = {}


def client_for(scheme: str, bucket: str, options: StoreOptions) -> "ObjectStore":
    """The client of a bucket; the memory store of that name for ``memory``. Asks no server.

    A child that was forked makes its own, but obstore's threads hang after a fork: spawn instead.
    """
    key = (os.getpid(), scheme, bucket, options)
    if key not in _CLIENTS:
        try:
            _CLIENTS[key] = _MAKERS[scheme](bucket, options)
        except (ValueError, TypeError, OverflowError) as error:
            raise SettingsError(f"output.store: {error}; correct the option") from error
    return _CLIENTS[key]


def _s3(bucket: str, options: StoreOptions) -> "ObjectStore":
    from obstore.store import S3Store

    config: dict[str, Any] = {"region": options.region, "endpoint": options.endpoint}
    if options.virtual_hosted is not None:
        config["virtual_hosted_style_request"] = options.virtual_hosted
    if options.anonymous:
        config["skip_signature"] = True
    provider = _profile(options.profile) if options.profile else None
    return S3Store(
        bucket,
        config={name: value for name, value in config.items() if value is not None},  # type: ignore[arg-type]
        credential_provider=provider,
        **_common(options),
    )


def _gs(bucket: str, options: StoreOptions) -> "ObjectStore":
    from obstore.store import GCSStore

    _refuse("gs", options, "endpoint", "region", "profile", "virtual_hosted")
    config: Any = {"skip_signature": True} if options.anonymous else {}
    return GCSStore(bucket, config=config, **_common(options))


def _az(container: str, options: StoreOptions) -> "ObjectStore":
    from obstore.store import AzureStore

    _refuse("az", options, "region", "profile", "virtual_hosted")
    config: dict[str, Any] = {"endpoint": options.endpoint} if options.endpoint else {}
    if options.anonymous:
        config["skip_signature"] = True
    return AzureStore(container, config=config, **_common(options))  # type: ignore[arg-type]


def _memory(name: str, options: StoreOptions) -> "ObjectStore":
    from obstore.store import MemoryStore

    return MemoryStore()


_MAKERS: Final[dict[str, Callable[[str, StoreOptions], "ObjectStore"]]] = {
    "s3": _s3,
    "gs": _gs,
    "az": _az,
    "memory": _memory,
}


def _refuse(scheme: str, options: StoreOptions, *names: str) -> None:
    given = [name for name in names if getattr(options, name) is not None]
    if given:
        raise SettingsError(f"output.store.{given[0]}: {scheme}:// does not know it; leave it out")


def _common(options: StoreOptions) -> dict[str, Any]:
    client: dict[str, Any] = {
        "timeout": timedelta(seconds=options.timeout_s),
        "connect_timeout": timedelta(seconds=min(10.0, options.timeout_s)),
    }
    plain = (options.endpoint or "").startswith("http://")
    if options.allow_http is not None or plain:
        client["allow_http"] = plain if options.allow_http is None else options.allow_http
    backoff = {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=MAX_BACKOFF_S),
        "base": 2,
    }
    retry = {
        "max_retries": MAX_RETRIES,
        "retry_timeout": timedelta(seconds=options.retry_s),
        "backoff": backoff,
    }
    return {"client_options": client, "retry_config": retry}


def _profile(name: str) -> Callable[[], Any]:
    """Credentials of a profile of ~/.aws, whatever kind it is: keys, SSO, an assumed role."""
    try:
        import botocore.exceptions
        import botocore.session
    except ImportError as error:
        raise SettingsError(
            f"output.store.profile '{name}': profiles are read by botocore, which is not "
            "installed; pip install 'voxmill[s3]', or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        ) from error
    try:
        credentials = botocore.session.Session(profile=name).get_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise SettingsError(
            f"output.store.profile '{name}': {error}; see ~/.aws/config and ~/.aws/credentials"
        ) from error
    if credentials is None:
        raise SettingsError(
            f"output.store.profile '{name}': it holds no credentials; see ~/.aws/credentials"
        )

    def current() -> Any:  # noqa: ANN401 - obstore's own typed dictionary
        frozen = credentials.get_frozen_credentials()  # renews what runs out
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": getattr(credentials, "_expiry_time", None),
        }

    return current
