"""Predictors of opinion: programs of both kinds, made here; one by one, whatever stands beside."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError
from schemas.utterance import NOT_SAMPLED, TAKEN, UNAVAILABLE, value_of
from tests.builders import hear
from tests.sound import pcm16, sine
from transforms.audio import encode_flac
from transforms.backends import mos
from transforms.backends.mos import MosProgram, mos_program
from transforms.checks import Checks

LOUD, SOFT = pcm16(0.5 * sine(300, 1.5)), pcm16(0.1 * sine(300, 0.8))


def mean(samples: Any) -> float:
    """The mean magnitude, of full scale."""
    return float(np.abs(samples / 32768.0).mean())


def save_torchscript(folder: Path, yaml: str = "") -> Path:
    """A score that follows from the level: 1 + 4 x the mean magnitude."""
    import torch

    class Level(torch.nn.Module):
        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            framed = wave.unfold(-1, 1000, 1000)  # as real ones, it cannot take a clip of 500
            return 1.0 + 4.0 * framed.abs().mean(dim=(-1, -2))

    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        traced: Any = torch.jit.trace(Level(), torch.zeros(1, 16000))  # type: ignore[no-untyped-call]
    traced.save(str(folder / "level.pt"))
    path = folder / "level.yaml"
    path.write_text(yaml or "program: level.pt\n", encoding="utf-8")
    return path


def save_onnx(folder: Path, yaml: str) -> Path:
    """Three numbers of a window of 16000 samples: 0, the mean magnitude, and their sum."""
    import onnx
    from onnx import TensorProto, helper

    folder.mkdir(exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("Abs", ["wave"], ["size"]),
            helper.make_node("ReduceMean", ["size"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["mean", "mean"], ["zero"]),
            helper.make_node("Concat", ["zero", "mean", "mean"], ["scores"], axis=1),
        ],
        "level",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, 16000])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "level.onnx"))
    path = folder / "level.yaml"
    path.write_text("program: level.onnx\n" + yaml, encoding="utf-8")
    return path


def score(predictor: MosProgram, samples: Any, rate: int = 16000) -> float | None:
    with predictor.open() as listener:
        return listener.score(samples, rate)


def made(path: Path) -> MosProgram:
    return mos_program(path, setting="checks.mos")


def test_a_torchscript_program_rates_whole_clips(tmp_path: Path) -> None:
    predictor = made(save_torchscript(tmp_path))
    predictor.check()
    assert score(predictor, LOUD) == pytest.approx(1 + 4 * mean(LOUD), abs=0.02)
    assert score(predictor, SOFT) == pytest.approx(1 + 4 * mean(SOFT), abs=0.02)
    assert score(predictor, LOUD[:0]) is None


def test_a_program_of_another_rate_hears_resampled_sound(tmp_path: Path) -> None:
    yaml = "program: level.pt\nsample_rate_hz: 24000\n"
    predictor = made(save_torchscript(tmp_path, yaml))
    assert score(predictor, LOUD) == pytest.approx(1 + 4 * mean(LOUD), abs=0.02)
    assert predictor.identity() != made(save_torchscript(tmp_path)).identity()


def test_windows_are_averaged_and_a_short_clip_is_repeated(tmp_path: Path) -> None:
    yaml = "window_samples: 16000\nhop_samples: 8000\noutput_index: 1\nfit: [2.0, 1.0]\n"
    predictor = made(save_onnx(tmp_path, yaml))
    halves = np.concatenate([LOUD[:16000], np.zeros(16000, np.int16)])
    third = (1.0 + 0.5 + 0.0) / 3  # windows at 0, 8000 and 16000
    assert score(predictor, halves) == pytest.approx(1 + 2 * third * mean(LOUD), abs=0.02)
    short = score(predictor, LOUD[:4000])
    assert short == pytest.approx(1 + 2 * mean(LOUD), abs=0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0, 8.0, 9.0, 9.01, 9.5, 10.02, 19.5, 20.0, 31.99])
def test_windows_are_those_of_dnsmos(seconds: float) -> None:
    """As dnsmos_local.py has it: hops of a second, int(floor(seconds) - 9.01) + 1 of them."""
    feeding = mos.Feeding(program="x.onnx", window_samples=144_160, hop_samples=16_000)
    wave = np.arange(round(seconds * 16_000), dtype=np.float32)
    doubled = wave
    while 0 < len(doubled) < 144_160:
        doubled = np.append(doubled, doubled)
    count = int(np.floor(len(doubled) / 16_000) - 9.01) + 1 if len(wave) else 1
    wanted = [doubled[n * 16_000 : n * 16_000 + 144_160] for n in range(count)]
    found = mos._parts(wave, feeding)
    assert [part.tolist() for part in found] == [part.tolist() for part in wanted]


def test_scores_do_not_depend_on_other_clips(tmp_path: Path) -> None:
    checks = Checks(predictor=made(save_torchscript(tmp_path)), mos_fraction=1.0)
    rows = [{"flac": encode_flac(clip, 16000)} for clip in (LOUD, SOFT, LOUD[:5000])]
    together = [value_of(row["heard"], "mos") for row in hear(checks, *rows)]
    alone = [value_of(hear(checks, row)[0]["heard"], "mos") for row in rows]
    assert together == alone
    assert len(set(together)) == 3


def test_a_fraction_is_rated_and_what_has_no_score_is_unavailable(tmp_path: Path) -> None:
    checks = Checks(predictor=made(save_torchscript(tmp_path)), mos_fraction=0.3)
    rows = [{"id": f"{n:024d}-0", "flac": encode_flac(SOFT, 16000)} for n in range(40)]

    def states(rows: list[dict[str, Any]]) -> list[str]:
        found = hear(checks, *rows)
        return [i["status"] for row in found for i in row["heard"] if i["name"] == "mos"]

    drawn = states(rows)
    assert 4 <= drawn.count(TAKEN) <= 22
    assert set(drawn) == {TAKEN, NOT_SAMPLED}
    assert states(rows[::-1])[::-1] == drawn
    few = states([{**row, "flac": encode_flac(SOFT[:500], 16000)} for row in rows])
    assert few == [UNAVAILABLE if item == TAKEN else item for item in drawn]


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("program: level.pt\nrank: 2\n", "rank: extra inputs"),
        ("program: level.bin\n", "ends in .onnx"),
        ("- 1\n", "does not describe a predictor"),
    ],
)
def test_a_bad_description_is_told(tmp_path: Path, yaml: str, told: str) -> None:
    with pytest.raises(BackendError) as error:
        made(save_torchscript(tmp_path, yaml))
    assert told in str(error.value)


def test_programs_that_do_not_fit_are_told_when_they_are_opened(tmp_path: Path) -> None:
    wrong = "window_samples: 16000\noutput_index: 7\n"
    with pytest.raises(BackendError, match="gives 3 numbers, wanted the one at output_index 7"):
        score(made(save_onnx(tmp_path, wrong)), LOUD)
    with pytest.raises(BackendError, match="correct input_rank, window_samples"):
        score(made(save_onnx(tmp_path, "window_samples: 8000\n")), LOUD)
    with pytest.raises(BackendError, match="correct takes_rate"):
        score(made(save_onnx(tmp_path, "takes_rate: true\n")), LOUD)
    path = save_torchscript(tmp_path)
    predictor = made(path)
    (tmp_path / "level.pt").write_bytes(b"weights")
    with pytest.raises(BackendError, match="give the program that the job was made with"):
        score(predictor, LOUD)
    with pytest.raises(BackendError, match="not a checkpoint of weights"):
        score(made(path), LOUD)
    with pytest.raises(BackendError, match="it is damaged or another release"):
        mos_program(path, setting="checks.mos", sha256="0" * 64)
