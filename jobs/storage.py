"""From settings, options and the environment to the address of a store. Keys are never read here.

The clients of the stores find keys themselves: in the environment, by a profile, or by the role of
the machine. This file only says which of these applies, so that worker processes do the same.
"""

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jobs.settings.job import StoreSettings
from schemas.address import check_endpoint, scheme_of
from schemas.errors import SettingsError
from schemas.store import StoreAddress, StoreOptions


def store_address(uri: str, given: StoreSettings) -> StoreAddress:
    """The address of a store under some settings and this process's environment."""
    if scheme_of(uri) in ("", "file"):
        return StoreAddress(uri)
    found: dict[str, Any] = given.model_dump()
    if scheme_of(uri) == "s3":
        if found["profile"] is None and not found["anonymous"]:
            found["profile"] = _profile()
        endpoint = found["endpoint"] or os.environ.get("AWS_ENDPOINT_URL_S3")
        endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL") or ""
        if endpoint and not found["endpoint"]:
            check_endpoint("AWS_ENDPOINT_URL", endpoint)
        if found["allow_http"] is None and endpoint.startswith("http://"):
            found["allow_http"] = True
    return StoreAddress(uri, StoreOptions(**found))


def corpus_address(uri: str, changes: Sequence[str]) -> StoreAddress:
    """The address of a corpus under ``--store key=value`` options."""
    document = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise SettingsError(
                f"--store {change}: wanted KEY=VALUE, such as endpoint=http://127.0.0.1:9000"
            )
        try:
            document[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SettingsError(f"--store {change}: '{text}' is not a YAML value") from error
    try:
        settings = StoreSettings.model_validate(document)
    except ValidationError as error:
        known = ", ".join(item.name for item in fields(StoreOptions))
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"--store {place}: {first['msg'].lower()}; the keys are {known}"
        ) from error
    return store_address(uri, settings)


def _profile() -> str | None:
    """The profile that AWS's own tools would take, unless keys or a role stand above it."""
    environment = os.environ
    if environment.get("AWS_ACCESS_KEY_ID") or environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return None
    if named := environment.get("AWS_PROFILE"):
        return named
    path = environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    return "default" if Path(path).expanduser().is_file() else None
