"""The ``messages`` adapter: OpenAI's chat layout, with typed parts that may carry audio."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from jobs.sources.fields import (
    Defaults,
    conversation,
    malformed,
    optional_text,
    require_list,
    require_object,
    require_text,
    shown,
    turn_text,
)
from schemas.conversation import Conversation, Turn

ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
AUDIO_FORMATS: Final = ("wav", "flac", "mp3", "ogg", "opus")
PROVENANCES: Final = ("human", "imported", "synthesized")


@dataclass
class _Parts:
    """What the parts of one message add up to."""

    texts: list[str] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def adapt_messages(value: object, defaults: Defaults) -> Conversation:
    """A row with ``messages``: role and content, which is a text or a list of typed parts.

    Text parts are joined by line ends. A user message may have an ``input``, as Alpaca's rows do.
    A turn holds one audio file at most, a row one image at most. Provenance is the message's
    own, else the row's, else "imported". Raises MalformedRow.
    """
    row = require_object(value, "messages", "an object with 'messages'")
    turns, images = [], []
    for index, item in enumerate(require_list(row, "messages", "messages"), start=1):
        who = f"messages: turn {index}"
        message = require_object(item, who, "an object with 'role' and 'content'")
        role = role_of(message, "role", who, ROLES)
        parts = _read_content(message, who, role)
        images += parts.images
        turns.append(_turn(row, message, who, role, parts))
    if len(images) > 1:
        malformed(
            "messages", f"{len(images)} images", "at most one in a row", "split the row by images"
        )
    return conversation(row, turns, defaults, "messages", image=images[0] if images else None)


def role_of(item: Mapping[str, object], key: str, who: str, roles: Mapping[str, str]) -> str:
    """The role under ``key``, in the words of the conversation table."""
    said = require_text(item, key, who)
    if said not in roles:
        malformed(
            who,
            f"'{key}' is {shown(said)}",
            "one of " + ", ".join(roles),
            "rename the role or remove the turn",
        )
    return roles[said]


def _turn(
    row: Mapping[str, object], message: Mapping[str, object], who: str, role: str, parts: _Parts
) -> Turn:
    if len(parts.audio) > 1:
        malformed(who, f"{len(parts.audio)} audio parts", "at most one in a turn", "join the audio")
    provenance = ""
    if parts.audio:
        provenance = optional_text(message, "provenance", who)
        provenance = provenance or optional_text(row, "provenance", "messages") or "imported"
        if provenance not in PROVENANCES:
            wanted = "one of " + ", ".join(PROVENANCES)
            malformed(who, f"'provenance' is {shown(provenance)}", wanted, "correct the field")
    return {
        "role": role,
        "text": "\n".join(parts.texts),
        "input": optional_text(message, "input", who) if role == "user" else "",
        "audio": parts.audio[0] if parts.audio else None,
        "provenance": provenance,
    }


def _read_content(message: Mapping[str, object], who: str, role: str) -> _Parts:
    parts, content = _Parts(), message.get("content")
    if not isinstance(content, list):
        parts.texts.append(turn_text(message, "content", who, role))
        return parts
    for item in content:
        part = require_object(item, who, "content parts that are objects with 'type'")
        kind = require_text(part, "type", who)
        if kind == "text":
            # Parquet gives every part all fields, so a null one is as good as missing
            parts.texts.append(require_text(part, "text", who))
        elif kind == "input_audio":
            parts.audio.append(_read_audio(part.get("input_audio"), who))
        elif kind == "image_url":
            parts.images.append(_read_image(part.get("image_url"), who))
        else:
            wanted = "text, input_audio or image_url"
            malformed(who, f"a part of type {shown(kind)}", wanted, "remove the part or the row")
    return parts


def _read_audio(value: object, who: str) -> bytes:
    audio = require_object(value, f"{who}: input_audio", "an object with 'data' and 'format'")
    form = require_text(audio, "format", who)
    if form not in AUDIO_FORMATS:
        wanted = "an encoded file: " + ", ".join(AUDIO_FORMATS)
        malformed(who, f"audio format is {shown(form)}", wanted, "convert the audio")
    data = require_text(audio, "data", who)
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        malformed(who, f"audio data is {shown(data)}", "base64 of a file", "encode the audio again")
    return decoded


def _read_image(value: object, who: str) -> str:
    row = {"url": value} if isinstance(value, str) else value
    image = require_object(row, f"{who}: image_url", "an object with 'url'")
    url = require_text(image, "url", who)
    if not url:
        malformed(who, "an empty image url", "a reference to an image", "remove the part")
    return url
