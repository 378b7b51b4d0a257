"""Secrets in a job are refused: what a job says is published in manifests and in Kubernetes."""

import json
import re
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from schemas.redaction import HIDDEN, looks_secret, names_secret, redacted, secrets_in

SECRET: Final = "secret"  # the type of these errors, whose input is not to be repeated
Held = TypeVar("Held", bound=dict[str, Any])
_NAMES: Final = re.compile(r"[\w-]+(?=['\"]?\s*[:=])")


def secret_error(words: str) -> PydanticCustomError:
    """A problem with a setting, told without what was given."""
    return PydanticCustomError(SECRET, "{words}", {"words": words})


def _published(value: Held) -> Held:
    try:
        json.dumps(value, allow_nan=False)
        found = ", ".join(f"'{place}'" for place in secrets_in(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"wanted what JSON can hold, since it is sent so: {error}") from error
    if found:
        raise secret_error(
            f"{found} looks like a secret, and the manifest of the corpus would publish it; name "
            "the environment variable that holds the key in endpoint.api_key_env, and take it out "
            "here"
        )
    return value


def _variable(name: str | None) -> str | None:
    if name is not None and (looks_secret(name) or not re.fullmatch(r"[A-Za-z_]\w*", name)):
        raise secret_error(
            "no name of an environment variable (not repeated, it may be the key itself); wanted "
            "such as S2S_API_KEY, and the key in that variable"
        )
    return name


# Further fields of a request: they change replies, so the manifest names them.
Extra = Annotated[dict[str, Any], AfterValidator(_published)]
ExtraTexts = Annotated[dict[str, str], AfterValidator(_published)]
Variable = Annotated[str | None, AfterValidator(_variable)]


def check_env(env: dict[str, str]) -> dict[str, str]:
    """Variables that stand in a Kubernetes object. Raises where one is a secret's."""
    for name, value in env.items():
        if names_secret(name) or looks_secret(value):
            said = "its name is that of a secret" if names_secret(name) else "its value is a secret"
            raise secret_error(
                f"{name}: {said}; put it into a Kubernetes secret and name that in "
                "schedule.secret_env or schedule.secrets"
            )
    return env


def shown_change(change: str) -> str:
    """A ``--set`` option as an error may repeat it: the value only if nothing in it is a secret."""
    key, equals, value = change.partition("=")
    named = any(names_secret(name) for name in (*key.split("."), *_NAMES.findall(value)))
    harmless = key.rpartition(".")[2] in ("secret_env", "secrets", "image_pull_secrets")
    mistaken = "api_key_env" in change  # some write the key itself there
    if looks_secret(value) or mistaken or (named and not harmless):
        return f"{key}{equals}{HIDDEN}"
    return redacted(change)
