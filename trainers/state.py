"""The state of a run: what resumes it, exactly, under any number of ranks and workers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.errors import SettingsError
from trainers.order import OrderSettings

FORMAT: Final = "voxmill-reader"
VERSION: Final = 1

State = dict[str, Any]


def new_state(
    corpora: Sequence[Mapping[str, object]],
    order: OrderSettings,
    place: Mapping[str, Any],
    grouping: Mapping[str, object] | None = None,
) -> State:
    """JSON values: what is read, the settings of its order and groups, and the place in it."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "corpora": [dict(corpus) for corpus in corpora],
        "order": order.to_json(),
        **({} if grouping is None else {"grouping": dict(grouping)}),
        "place": dict(place),
    }


def check_state(
    state: Mapping[str, Any],
    corpora: Sequence[Mapping[str, Any]],
    order: OrderSettings,
    grouping: Mapping[str, object] | None = None,
) -> Mapping[str, Any]:
    """The place that a state holds. Raises SettingsError if it belongs to another run."""
    if not isinstance(state, Mapping) or state.get("format") != FORMAT:
        kind = sorted(state)[:4] if isinstance(state, Mapping) else type(state).__name__
        raise SettingsError(
            f"reader state: got {kind}, wanted what state_dict() of a reader gave; the state of a "
            "StatefulDataLoader goes through trainers.stream.reader_state first"
        )
    if state.get("version") != VERSION:
        raise SettingsError(
            f"reader state: version {state.get('version')}, this release reads {VERSION}; resume "
            "with the release that wrote it"
        )
    _check_corpora(state["corpora"], corpora)
    wanted = order.to_json()
    changed = [
        f"{name} {state['order'].get(name)} then, {value} now"
        for name, value in wanted.items()
        if state["order"].get(name) != value
    ]
    if changed:
        raise SettingsError(
            f"reader state: the order was made with other settings ({'; '.join(changed)}); give "
            "the same settings, or start a new run without this state"
        )
    if state.get("grouping") != grouping:
        raise SettingsError(
            f"reader state: groups were cut by {state.get('grouping')} then, by {grouping} now; "
            "give the same grouping, or start a new run without this state"
        )
    place: Mapping[str, Any] = state["place"]
    return place


def _check_corpora(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
    if len(then) != len(now):
        raise SettingsError(
            f"reader state: {len(then)} corpora then, {len(now)} now; give the same corpora in the "
            "same order, or start a new run without this state"
        )
    for old, new in zip(then, now, strict=True):
        if old["shards"] != new["shards"]:
            raise SettingsError(
                f"reader state: it was taken on version {old['snapshot']} of {old['name']}, split "
                f"{old['split']}, and {new['name']} is open at version {new['snapshot']}, split "
                f"{new['split']}, with other shards; open version={old['snapshot']} of that "
                "corpus, or start a new run without this state"
            )
        if old["weight"] != new["weight"]:
            raise SettingsError(
                f"reader state: {old['name']} had weight {old['weight']}, now {new['weight']}; "
                "give the same weights, or start a new run without this state"
            )
