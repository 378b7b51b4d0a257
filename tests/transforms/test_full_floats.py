"""On a GPU models are heard and speak in float32's own precision, and nothing of it is left."""

import pytest

from transforms.backends.asr_whisper import Whisper
from transforms.backends.tts import VoiceSpec
from transforms.backends.tts_coqui import Coqui
from transforms.backends.tts_cosyvoice import Cosyvoice
from transforms.backends.tts_torch import exact_torch, full_floats
from transforms.backends.tts_vits import Vits

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")
VOICE = VoiceSpec(name="0", lang="en")


@pytest.mark.parametrize("before", [(True, True), (False, True), (True, False)])
def test_tf32_is_off_while_a_model_runs_and_as_before_afterwards(
    before: tuple[bool, bool],
) -> None:
    rounding = (torch.backends.cudnn, torch.backends.cuda.matmul)
    here = [item.allow_tf32 for item in rounding]
    try:
        rounding[0].allow_tf32, rounding[1].allow_tf32 = before
        with exact_torch(1):
            assert [item.allow_tf32 for item in rounding] == [False, False]
        with pytest.raises(RuntimeError, match="torn"), exact_torch(1):
            raise RuntimeError("torn")
        assert tuple(item.allow_tf32 for item in rounding) == before
    finally:
        rounding[0].allow_tf32, rounding[1].allow_tf32 = here


def test_a_fingerprint_on_a_gpu_says_so_and_one_on_a_cpu_stays_as_it_was() -> None:
    assert full_floats("cpu") == {}
    for device, told in (("cpu", None), ("cuda:1", False)):
        for voice in (Vits(device=device), Coqui(device=device), Cosyvoice(device=device)):
            assert voice.identity(VOICE).get("tf32") is told
        assert Whisper(folder="", device=device).identity().get("tf32") is told
