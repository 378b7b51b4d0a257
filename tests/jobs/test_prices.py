"""Prices of speech and transcription: sums by hand, in the estimate and in what was spent."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.prices import audio_cost, read_prices, with_prices
from jobs.settings.jobfile import load_job
from jobs.settings.price import AudioPrice, SpeechPrice
from schemas.errors import SettingsError
from tests.chat_server import serving
from tests.jobs.small import FAST_BANK, build_here, manifest_of, rows, voxmill, write_job
from tests.jobs.test_speech_build import QUIET, bank, run_of
from tests.speech_server import SpeechServer
from tests.transcription_server import TranscriptionServer

CALLS = {"calls": 10, "characters": 2_000_000, "audio_ms": 90_000}
TOLD = {**CALLS, "prompt_tokens": 100_000, "completion_tokens": 500_000}


@pytest.mark.parametrize(
    ("price", "counted", "money"),
    [
        (SpeechPrice(per_million_characters=15), CALLS, 30.0),  # 2 million characters
        (SpeechPrice(per_minute=0.015), CALLS, 0.0225),  # a minute and a half
        (AudioPrice(per_minute=0.006), CALLS, 0.009),
        (SpeechPrice(input_per_million=0.6, output_per_million=12), TOLD, 0.06 + 6.0),
        (SpeechPrice(input_per_million=0.6, output_per_million=12), CALLS, None),  # not told
        (AudioPrice(per_minute=0), CALLS, 0.0),  # said to be free
        (None, CALLS, None),
        (AudioPrice(per_minute=0.006), {"calls": 0, "audio_ms": 0}, 0.0),
        (
            SpeechPrice(per_million_characters=1, per_minute=2, input_per_million=3,
                        output_per_million=4),
            TOLD,
            2.0 + 3.0 + 0.3 + 2.0,
        ),
    ],
)  # fmt: skip
def test_what_calls_cost_by_hand(
    price: AudioPrice | None, counted: dict[str, float], money: float | None
) -> None:
    assert audio_cost(price, counted) == (None if money is None else pytest.approx(money))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "models: {tts-1: {}}",
            "models.tts-1: a price needs some of per_million_characters, per_m",
        ),
        ("models: {tts-1: {per_minut: 1}}", "models.tts-1.per_minut: Extra inputs"),
        ("models: {tts-1: {input_per_million: 1}}", "tokens are read and written: state input_per"),
        ("models: {tts-1: {per_minute: -1}}", "greater than or equal to 0"),
        ("models: {ears: {per_million_characters: 1}}", "models.ears: per_million_characters: Ext"),
        ("models: {llm: {input_per_million: 1}}", "models.llm: output_per_million: Field required"),
    ],
)
def test_a_price_that_its_model_cannot_have_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    told = {"kind": "speech_endpoint", "model": "tts-1"}
    job = write_job(
        tmp_path,
        backends={"tts": told},
        models={"big": {"model": "llm"}},
        checks={"asr": {"kind": "transcriptions", "model": "ears"}},
        estimate={"prices": "prices.yaml"},
    )
    with pytest.raises(SettingsError) as caught:
        with_prices(load_job(job), tmp_path)
    assert said in str(caught.value)
    assert "prices.yaml" in str(caught.value)


def test_the_jobs_own_price_stands_above_the_files(tmp_path: Path) -> None:
    prices = {"currency": "EUR", "models": {"tts-1": {"per_million_characters": 15}}}
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump(prices))
    mine = {"kind": "speech_endpoint", "model": "tts-1", "price": {"per_minute": 1}}
    backends = {"mine": mine, "theirs": {"kind": "speech_endpoint", "model": "tts-1"}}
    job = write_job(tmp_path, backends=backends, estimate={"prices": "prices.yaml"})
    told: Any = with_prices(load_job(job), tmp_path)
    assert told.backends["mine"].price == SpeechPrice(per_minute=1)
    assert told.backends["theirs"].price == SpeechPrice(per_million_characters=15, currency="EUR")
    assert read_prices(tmp_path / "prices.yaml").currency == "EUR"


def spoken_job(folder: Path, server: SpeechServer, prices: dict[str, Any] | None) -> Path:
    """The user speaks by one service and the assistant by another; ``prices`` are by model."""
    voices = bank(
        folder,
        {"id": "asks", "backend": "one", "name": "ash", "roles": ["user"]},
        {"id": "says", "backend": "two", "name": "alloy", "roles": ["assistant"]},
    )
    reached = {"urls": [server.url], "patience_s": 2, "max_attempts": 2}
    more: dict[str, Any] = {}
    if prices is not None:
        (folder / "prices.yaml").write_text(yaml.safe_dump({"models": prices}))
        more["estimate"] = {"prices": "prices.yaml"}
    return write_job(
        folder,
        rows(4),
        voices={"bank": str(voices)},
        backends={
            name: {"kind": "speech_endpoint", "model": f"tts-{name}", "endpoint": reached}
            for name in ("one", "two")
        },
        checks=QUIET,
        **more,
    )


def figures(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in value["figures"]}


def estimated(output: Path) -> dict[str, dict[str, Any]]:
    return figures(json.loads((output / "estimate.json").read_text("utf-8")))


@pytest.mark.slow
def test_two_speech_services_are_charged_each_by_its_own_price(tmp_path: Path) -> None:
    prices = {"tts-one": {"per_million_characters": 15}, "tts-two": {"per_minute": 0.6}}
    output = tmp_path / "out"
    with serving(SpeechServer()) as server:
        job = spoken_job(tmp_path / "job", server, prices)
        planned = voxmill("plan", job, "--output", output, "--json")
        assert planned.code == 0, planned.err
        assert build_here(job, output).code == 0
        said = [body["input"] for body in server.bodies if body["voice"] == "ash"]
    # Before: the letters of the source. Four questions, and four answers at 15 letters a second.
    asked = sum(len(item["instruction"]) for item in rows(4))
    guess = figures(planned.last_json["estimate"])
    assert guess["speech by one: calls"]["estimate"] == 4
    assert guess["speech by one: characters"]["estimate"] == asked
    assert guess["money: speech by one"]["estimate"] == pytest.approx(asked * 15e-6)
    minutes = guess["speech by two: audio"]["estimate"] * 60
    assert guess["money: speech by two"]["estimate"] == pytest.approx(minutes * 0.6)
    # After: the texts that were sent, and the seconds of the audio that came, each by its price.
    run = run_of(output)["speech"]
    one, two = run["by"]["one"], run["by"]["two"]
    assert one["characters"] == sum(map(len, said))
    assert one["cost"] == pytest.approx(sum(map(len, said)) * 15e-6, abs=1e-6)
    heard_s = sum(shard["seconds"] for shard in manifest_of(output)["shards"])
    assert one["audio_ms"] + two["audio_ms"] == pytest.approx(1000 * heard_s, abs=8)
    assert two["cost"] == pytest.approx(two["audio_ms"] / 60_000 * 0.6, abs=1e-6)
    assert run["cost"] == pytest.approx(one["cost"] + two["cost"], abs=1e-6)
    after = estimated(output)
    assert after["money: speech by one"]["truth"] == one["cost"]
    assert after["speech by two: audio"]["truth"] == pytest.approx(two["audio_ms"] / 3.6e6)
    assert after["money"]["truth"] == pytest.approx(run["cost"])
    assert "money: speech by two" in (output / "report" / "index.html").read_text("utf-8")
    assert "price" not in json.dumps(manifest_of(output)["settings"])


@pytest.mark.slow
def test_a_service_without_a_price_is_not_known_and_never_free(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with serving(SpeechServer()) as server:
        job = spoken_job(tmp_path / "job", server, {"tts-one": {"per_million_characters": 15}})
        assert build_here(job, output).code == 0
    run = run_of(output)["speech"]
    assert (run["by"]["two"]["cost"], run["cost"]) == (None, None)
    value = json.loads((output / "estimate.json").read_text("utf-8"))
    told = [
        line for line in value["not_known"] if line.startswith("speech by two: no price; set b")
    ]
    assert len(told) == 1
    assert "money: speech by two" not in figures(value)
    assert figures(value)["money"]["basis"] == "what has a price"


def heard_job(folder: Path, server: TranscriptionServer, price: dict[str, Any] | None) -> Path:
    reached = {"urls": [server.url], "patience_s": 1.0, "max_attempts": 1}
    ears = {"kind": "transcriptions", "model": "ears", "endpoint": reached, "price": price}
    checks = {"align": False, "vad": False, "asr_fraction": 1.0, "asr": ears}
    return write_job(folder, rows(3), checks=checks, voices={"bank": str(FAST_BANK)})


@pytest.mark.slow
def test_transcription_by_the_minute_is_charged_for_the_audio_that_was_heard(
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    with serving(TranscriptionServer()) as server:
        job = heard_job(tmp_path / "job", server, {"per_minute": 0.006})
        assert build_here(job, output).code == 0
    ears = run_of(output)["hearing"]["by"]["asr"]
    heard_s = sum(shard["seconds"] for shard in manifest_of(output)["shards"])
    assert ears["calls"] == 6
    assert ears["audio_ms"] == pytest.approx(1000 * heard_s, abs=6)
    assert ears["cost"] == pytest.approx(heard_s / 60 * 0.006, abs=2e-6)
    found = estimated(output)
    assert found["hearing by asr: calls"]["estimate"] == 6
    letters = sum(len(item["instruction"]) + len(item["output"]) for item in rows(3))
    hours = letters / 15 / 3600  # 15 letters a second of English
    assert found["hearing by asr: audio"]["estimate"] == pytest.approx(hours)
    guess = hours * 60 * 0.006
    assert found["money: hearing by asr"]["estimate"] == pytest.approx(guess)
    assert found["money: hearing by asr"]["truth"] == ears["cost"]


@pytest.mark.slow
def test_tokens_are_not_guessed_before_a_run_has_counted_them(tmp_path: Path) -> None:
    price = {"input_per_million": 6, "output_per_million": 10}
    output = tmp_path / "out"
    with serving(TranscriptionServer()) as server:
        job = heard_job(tmp_path / "job", server, price)
        before = voxmill("plan", job, "--output", output, "--json").last_json["estimate"]
        assert build_here(job, output).code == 0
    assert figures(before)["money: hearing by asr"]["estimate"] is None
    assert any("hearing by asr: it charges tokens" in line for line in before["not_known"])
    # The server counts 14 tokens read and 9 written for each of 6 clips.
    spent = (6 * 14 * 6 + 6 * 9 * 10) / 1e6
    ears = run_of(output)["hearing"]["by"]["asr"]
    assert ears["cost"] == pytest.approx(spent) == pytest.approx(0.001044)
    assert estimated(output)["money: hearing by asr"]["truth"] == pytest.approx(spent)
    after = voxmill("plan", job, "--output", output, "--json").last_json["estimate"]
    counted = figures(after)["hearing by asr: audio"]["estimate"] * 3.6e6 / ears["audio_ms"]
    assert figures(after)["money: hearing by asr"]["estimate"] == pytest.approx(spent * counted)


def test_currencies_are_not_added_up(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("currency: EUR\ncpu_hour: 1\n")
    voices = bank(
        tmp_path, {"id": "all", "backend": "tts", "name": "ash", "roles": ["user", "assistant"]}
    )
    told = {
        "kind": "speech_endpoint",
        "model": "tts-1",
        "price": {"per_million_characters": 15, "currency": "USD"},
    }
    job = write_job(
        tmp_path,
        rows(4),
        voices={"bank": str(voices)},
        backends={"tts": told},
        checks=QUIET,
        estimate={"prices": "prices.yaml"},
    )
    done = voxmill("plan", job, "--output", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    told_money = figures(done.last_json["estimate"])["money"]
    assert told_money["estimate"] is None
    assert "money: prices are in EUR and USD, which are not added up" in done.err
