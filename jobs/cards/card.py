"""The dataset card: README.md of a corpus, with the metadata that the Hugging Face Hub reads."""

import json
from collections.abc import Sequence
from typing import Any, Final

import yaml

from jobs.cards.heard import introduction, is_heard, making
from jobs.cards.license import Granted, as_code, granted_of
from jobs.cards.license_note import license_words
from jobs.cards.names import plain_name
from jobs.cards.snippets import how_to_read
from jobs.report.corpus import Corpus
from jobs.report.reading import read_sample
from jobs.report.views import bounds_words
from jobs.report.words import clipped
from schemas.snapshot import Manifest, snapshot_path
from schemas.store import Store
from schemas.unitset import UnitSet
from transforms.quotas import Quota
from transforms.voices import disjointness

TASKS: Final = ["text-to-speech", "automatic-speech-recognition", "audio-to-audio"]
TAGS: Final = ["speech", "speech-instructions", "synthetic", "discrete-units", "voxmill"]
SIZES: Final = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))
LARGER: Final = ((1e7, "1M<n<10M"), (1e8, "10M<n<100M"), (1e9, "100M<n<1B"), (1e10, "1B<n<10B"))
EXCERPT_CHARS: Final = 160


def render_card(
    store: Store, manifest: Manifest, stats: Corpus, granted: Granted | None = None
) -> str:
    """The card. ``stats`` is what jobs.report.data.gather found in this snapshot.

    ``granted`` is its license, where somebody said more than the snapshot does. It says nothing
    of when and where the corpus was made. Raises DamageError.
    """
    granted = granted or granted_of(manifest, stats)
    sections = [
        _front_matter(manifest, stats, granted),
        f"# {plain_name(manifest)}",
        _introduction(manifest, stats),
        "## Size",
        _sizes(stats),
        "## How it was made",
        _making(manifest, stats),
        *([] if is_heard(manifest) else ["## Voices", _voices(stats)]),
        *_units(manifest, stats),
        *_excerpt(store, stats),
        "## Reading it",
        how_to_read(manifest),
        "## Limits",
        _limits(manifest, stats),
        "## License",
        license_words(granted),
    ]
    return "\n\n".join(sections) + "\n"


def size_category(rows: int) -> str:
    """The Hub's size category of a number of rows."""
    return next((name for least, name in (*SIZES, *LARGER) if rows < least), "n>1T")


def _front_matter(manifest: Manifest, stats: Corpus, granted: Granted) -> str:
    shards = manifest["shards"]
    splits = sorted({shard["split"] for shard in shards}, reverse=True)
    files = [
        {
            "split": split,
            "path": [f"shards/{shard['name']}" for shard in shards if shard["split"] == split],
        }
        for split in splits
    ]
    value: dict[str, object] = {
        "pretty_name": plain_name(manifest),
        **granted.front_matter(),
        "language": stats.langs,
        "task_categories": TASKS,
        "size_categories": [size_category(manifest["counts"]["accepted"])],
        "tags": TAGS,
    }
    if files:
        value["configs"] = [{"config_name": "default", "data_files": files}]
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---"


def _introduction(manifest: Manifest, stats: Corpus) -> str:
    counts = manifest["counts"]
    roles = sorted({role for s in manifest["unit_sets"] for role in UnitSet.from_json(s).roles})
    units = f"; the {' and the '.join(roles)}'s turns also as discrete units" if roles else ""
    sources = ", ".join(f"{as_code(name)} ({n:,})" for name, n in sorted(stats.sources.items()))
    made = "Spoken instructions and spoken answers, made from text instruction data by Voxmill. "
    return (
        f"{introduction(manifest) if is_heard(manifest) else made}Every "
        "sample is a conversation: the user's turns and the assistant's, each as text, as it is "
        f"said, and as audio{units}.\n\n"
        f"Of {counts['rows']:,} source rows {counts['accepted']:,} are here, "
        f"{counts['rejected']:,} were rejected and {counts['failed']:,} failed; `rejected/` and "
        f"`failed/` hold each of them with its reasons. Sources: {sources or 'none'}.\n\n"
        f"Version {manifest['version']}, identity `{manifest['identity']}`: the same source, "
        "settings and locked environment give the same identity."
    )


def _sizes(stats: Corpus) -> str:
    rows = [
        [split, as_code(lang), f"{a.samples:,}", f"{a.utterances:,}", f"{a.seconds / 3600:.2f}"]
        for (split, lang), a in sorted(stats.places.items(), key=lambda i: (i[0][0], i[0][1]))
    ]
    return _table(["split", "language", "samples", "utterances", "hours"], rows) + (
        f"\n\n{stats.multi_turn:,} samples have more than one pair of turns; "
        f"{stats.lost_turns:,} ship without some turns of their source row."
    )


def _making(manifest: Manifest, stats: Corpus) -> str:
    settings: dict[str, Any] = dict(manifest["settings"])
    backends = ", ".join(f"`{name}`" for name in sorted({v.backend for v in stats.bank.voices}))
    gates = ", ".join(f"`{bounds_words(use)}`" for use in stats.gates) or "none"
    if is_heard(manifest):
        return making(manifest, gates, stats.unchecked)
    dedup = settings["dedup"]
    scope = f"by {dedup['scope']}" if dedup["enabled"] else "switched off"
    steps = [
        f"**Duplicates** are left out ({scope}).",
        _rewriting(settings),
        _answering(settings),
        "**What cannot be said** (code, tables, addresses, formulas, overlong text) is rejected.",
        f"**Voices** are drawn by weight from a bank, one per speaker of a sample ({backends}).",
        f"**Gates** judge each pair on its measured audio: {gates}. "
        f"{stats.unchecked:,} samples were judged by none.",
    ]
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    return f"{text}\n\nAll settings are in `{snapshot_path(manifest['version'])}`."


def _rewriting(settings: dict[str, Any]) -> str:
    rewrite = settings["rewrite"]
    if rewrite["backend"] == "chat":
        kept = ", ".join(rewrite["chat"]["keep"]) or "nothing"
        return (
            f"**Rewriting** turns instructions into spoken style by {_model(settings, 'rewrite')}; "
            f"each reply is checked (kept must be: {kept}) and asked for again up to "
            f"{rewrite['chat']['max_asks'] - 1} times."
        )
    return (
        f"**Rewriting** turns instructions into spoken style (`{rewrite['backend']}`; filler words "
        f"in a share of {rewrite['filler_rate']:g})."
    )


def _answering(settings: dict[str, Any]) -> str:
    respond = settings["respond"]
    if respond["backend"] == "chat":
        shown = "shown" if respond["chat"]["reference"] == "show" else "not shown"
        return (
            f"**Answers** are written by {_model(settings, 'respond')}, which was {shown} the "
            "source's own; its license may bind what is made with them. The raw replies are in "
            "`inputs/`."
        )
    return (
        f"**Answers** are made fit for speech (`{respond['backend']}`): markup is taken out, "
        "numbers and symbols are written as words, long answers are cut at sentences."
    )


def _model(settings: dict[str, Any], step: str) -> str:
    model = settings["models"][settings[step]["chat"]["model"]]
    return f"{as_code(model['model'])} (temperature {model['temperature']:g})"


def _voices(stats: Corpus) -> str:
    rows = [
        [
            as_code(voice.id),
            voice.lang,
            ", ".join(voice.roles),
            ", ".join(voice.splits),
            as_code(voice.speaker_id),
            f"{voice.backend} {as_code(voice.name)}",
            as_code(voice.license),
        ]
        for voice in stats.bank.voices
    ]
    head = ["voice", "language", "roles", "splits", "speaker", "backend", "license"]
    told = [disjointness(stats.bank).sentence, *map(_quota, stats.bank.quotas)]
    return "\n\n".join([" ".join(told), _table(head, rows)])


def _quota(quota: Quota) -> str:
    shares = ", ".join(f"{as_code(value or 'none')} {share:.1%}" for value, share in quota.shares)
    where = " and ".join(quota.splits) + (f" ({', '.join(quota.langs)})" if quota.langs else "")
    return f"Drawn in {where} so that {quota.role} voices are expected by {quota.by}: {shares}."


def _units(manifest: Manifest, stats: Corpus) -> list[str]:
    found = []
    use = stats.units
    for item in map(UnitSet.from_json, manifest["unit_sets"]):
        collapse = "a run of equal units is one, `durations` [T] holds its frames"
        lines = [
            f"- roles: {', '.join(item.roles)}; audio at {item.sample_rate_hz} Hz",
            f"- frames(n samples) = {item.frames_words()}, {item.frame_rate_hz:g} per second",
            f"- codes [{item.num_codebooks}, T], each from 0 to {item.codebook_size - 1}",
            f"- {collapse if item.collapse == 'run_length' else 'one unit per frame'}",
            f"- model `{item.model}`, sha256 `{item.model_sha256 or 'unknown'}`"
            + (f"; layer {item.layer}, input normalization: " if item.layer else "")
            + (item.normalization if item.layer else ""),
            *([f"- centroids, sha256 `{item.centroids_sha256}`"] if item.centroids_sha256 else []),
            f"- {item.provenance}",
        ]
        if use.frames and item.name == manifest["unit_sets"][-1]["name"]:  # the index counts it
            lines.append(
                f"- here: {use.units:,} units of {use.frames:,} frames, "
                f"{use.units / use.seconds:.1f} units per second"
            )
        found.append(f"## Units: {item.name}\n\n" + "\n".join(lines))
    return found


def _excerpt(store: Store, stats: Corpus) -> list[str]:
    if not stats.places:
        return []
    row = stats.chosen.samples()[0]
    members = read_sample(store, row)
    record = _short(json.loads(members["json"]))
    names = "\n".join(f"{row['key']}.{suffix}" for suffix in members)
    text = json.dumps(record, ensure_ascii=False, indent=2)
    return [
        f"## A sample\n\nIts members in the tar:\n\n```text\n{names}\n```\n\n"
        f"`KEY.json`, long texts cut:\n\n```json\n{text}\n```"
    ]


def _limits(manifest: Manifest, stats: Corpus) -> str:
    lines = ["The voices are synthetic: one speaking style, no noise, no room, no overlap."]
    if any(voice.backend == "espeak" for voice in stats.bank.voices):
        lines.append("The voices of espeak-ng (Chinese among them) are plainly robotic.")
    settings: dict[str, Any] = dict(manifest["settings"])
    if is_heard(manifest):
        lines = [
            "The audio is others': who is heard in it, and how it was made, is for them to say."
        ]
    elif settings["rewrite"]["backend"] == settings["respond"]["backend"] == "rules":
        lines.append(
            "Instructions and answers were rewritten by rules, not by people or a language model; "
            "spoken answers can be shorter than the texts they come from."
        )
    if "asr_wer" not in stats.values:
        lines.append(
            "No speech recognizer has checked that the audio says the text: `asr_wer` was taken of "
            "no utterance."
        )
    if "mos" not in stats.values:
        lines.append("No model has rated how natural the audio sounds: `mos` was taken of none.")
    lines.append("The texts may be wrong, dated or biased as their sources are.")
    return "\n".join(f"- {line}" for line in lines)


def _short(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value[:4]]
    return clipped(value, EXCERPT_CHARS) if isinstance(value, str) else value


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
