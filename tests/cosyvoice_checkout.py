"""A checkout and a model's folder with upstream's names, signatures and flow, of March 2026.

What it says is not speech: a token ``t`` becomes a tone of 400 + 100 (t % 16) Hz for as long as a
token lasts, so that tokens can be read from audio (`tones`). As upstream's, version 1 rounds its
spectrum down to whole frames, version 3 drops what is over five silent tokens in a row before they
become sound, and ``speed`` stretches after the tokens.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.sound import sine, wav
from transforms.backends.tts import Reference
from transforms.backends.tts_cosyvoice import Cosyvoice

FACADE = """
import logging, os
import torch
from cosyvoice.cli.model import CosyVoiceModel, CosyVoice2Model, CosyVoice3Model
logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s")
tqdm = None
CALLS = []

class CosyVoice:
    sample_rate = 22050
    kind = CosyVoiceModel
    def __init__(self, model_dir, load_jit=False, load_trt=False, fp16=False, trt_concurrent=1):
        assert os.path.exists(model_dir)
        self.model = self.kind(fp16)
    def list_available_spks(self):
        return ["英文女", "英文男"]
    def _say(self, mode, text, speed, **told):
        CALLS.append({"mode": mode, "text": text, "speed": speed, **told})
        for part in tqdm([text]):
            for made in self.model.tts(text=part, stream=False, speed=speed):
                yield made
    def inference_sft(self, tts_text, spk_id, {alone}):
        assert stream is False and text_frontend is False
        yield from self._say("sft", tts_text, speed, spk=spk_id)
    def inference_zero_shot(self, tts_text, prompt_text, {clip}, {common}):
        yield from self._say("zero_shot", tts_text, speed, prompt=prompt_text, clip={clip})
    def inference_cross_lingual(self, tts_text, {clip}, {common}):
        yield from self._say("cross_lingual", tts_text, speed, clip={clip})
    def inference_instruct(self, tts_text, spk_id, instruct_text, {alone}):
        assert self.__class__.__name__ == "CosyVoice"
        yield from self._say("instruct", tts_text, speed, spk=spk_id, instruct=instruct_text)

class CosyVoice2(CosyVoice):
    sample_rate = 24000
    kind = CosyVoice2Model
    def inference_instruct2(self, tts_text, instruct_text, {clip}, {common}):
        yield from self._say("instruct2", tts_text, speed, instruct=instruct_text, clip={clip})

class CosyVoice3(CosyVoice2):
    kind = CosyVoice3Model

def AutoModel(**kwargs):
    kinds = {"cosyvoice": CosyVoice, "cosyvoice2": CosyVoice2, "cosyvoice3": CosyVoice3}
    for yaml, kind in kinds.items():
        if os.path.exists("{}/{}.yaml".format(kwargs["model_dir"], yaml)):
            return kind(**kwargs)
    raise TypeError("No valid model type found!")
"""
MODEL = """
import threading, uuid
import torch

class CosyVoiceModel:
    rate, tokens_a_second, size, mel_hop, silent_tokens = 22050, 50, 4096, 256, []
    def __init__(self, fp16=False):
        self.lock = threading.Lock()
        self.tts_speech_token_dict, self.llm_end_dict, self.hift_cache_dict = {}, {}, {}
    def llm_job(self, text, this_uuid):
        count = int((0.3 + 0.07 * sum(map(str.isalnum, text))) * self.tokens_a_second)
        drawn = torch.randint(self.size, (count,)).tolist()
        silent = 0
        for token in drawn[:3] + self.silent_tokens[:1] * 9 + drawn[3:]:
            silent = silent + 1 if token in self.silent_tokens else 0
            if silent <= 5:
                self.tts_speech_token_dict[this_uuid].append(token)
        self.llm_end_dict[this_uuid] = True
    def mels(self, count):
        return int(count / self.tokens_a_second * self.rate / self.mel_hop)
    def sound(self, token, speed):
        mels = self.mels(token.shape[1])
        if speed != 1.0:
            mels = int(mels / speed)
        pitch = 400.0 + 100.0 * (token[0] % 16)
        samples = torch.arange(mels * self.mel_hop)
        hop = self.rate / self.tokens_a_second / speed
        at = (samples / hop).long().clamp(max=token.shape[1] - 1)
        return 0.3 * torch.sin(2 * torch.pi * pitch[at] * samples / self.rate)[None]
    def token2wav(self, token, prompt_token, prompt_feat, embedding, uuid,
                  finalize=False, speed=1.0):
        assert finalize is True and self.hift_cache_dict[uuid] is None
        return self.sound(token, speed)
    def tts(self, text="", flow_embedding=torch.zeros(0, 192), stream=False, speed=1.0, **kwargs):
        this_uuid = str(uuid.uuid1())
        with self.lock:
            self.tts_speech_token_dict[this_uuid], self.llm_end_dict[this_uuid] = [], False
            self.hift_cache_dict[this_uuid] = None
        p = threading.Thread(target=self.llm_job, args=(text, this_uuid))
        p.start()
        p.join()
        all_tokens = torch.tensor(self.tts_speech_token_dict[this_uuid]).unsqueeze(dim=0)
        yield {"tts_speech": self.speech(all_tokens, this_uuid, flow_embedding, speed).cpu()}
        with self.lock:
            self.tts_speech_token_dict.pop(this_uuid)
            self.llm_end_dict.pop(this_uuid)
            self.hift_cache_dict.pop(this_uuid)
    def speech(self, token, this_uuid, embedding, speed):
        return self.token2wav(token=token, prompt_token=torch.zeros(1, 0, dtype=torch.int32),
                              prompt_feat=torch.zeros(1, 0, 80), embedding=embedding,
                              uuid=this_uuid, finalize=True, speed=speed)

class CosyVoice2Model(CosyVoiceModel):
    rate, tokens_a_second, size, mel_hop = 24000, 25, 6561, 480
    def token2wav(self, token, prompt_token, prompt_feat, embedding, token_offset, uuid,
                  stream=False, finalize=False, speed=1.0):
        assert finalize is True and token_offset == 0
        return self.sound(token, speed)
    def speech(self, token, this_uuid, embedding, speed):
        return self.token2wav(token=token, prompt_token=torch.zeros(1, 0, dtype=torch.int32),
                              prompt_feat=torch.zeros(1, 0, 80), embedding=embedding,
                              token_offset=0, uuid=this_uuid, finalize=True, speed=speed)

class CosyVoice3Model(CosyVoice2Model):
    silent_tokens = [1, 2, 28]
"""
# The keys that matter, in the shape that upstream's have; hyperpyyaml would build what is tagged.
YAML = """
__set_seed1: !apply:random.seed [1986]
sample_rate: {rate}
token_frame_rate: {frames}
llm: !new:cosyvoice.llm.llm.Any
    speech_token_size: {size}
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
flow: !new:cosyvoice.flow.flow.Any
    vocab_size: {size}
    input_frame_rate: {told} # of tokens
    decoder: !new:omegaconf.DictConfig
        static_chunk_size: !ref <token_frame_rate> * <sample_rate>
mel_spec_transform: [
    !ref <flow>
]
"""


def checkout(folder: Path, clip: str = "prompt_wav") -> Path:
    """The checkout; ``clip`` is the name of the argument for a reference clip."""
    for package in ("cosyvoice", "cosyvoice/cli", "third_party/Matcha-TTS/matcha"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    alone = "stream=False, speed=1.0, text_frontend=True"
    holes = {"{clip}": clip, "{alone}": alone, "{common}": f'zero_shot_spk_id="", {alone}'}
    source = FACADE
    for hole, filling in holes.items():
        source = source.replace(hole, filling)
    (folder / "cosyvoice/cli/cosyvoice.py").write_text(source, encoding="utf-8")
    (folder / "cosyvoice/cli/model.py").write_text(MODEL, encoding="utf-8")
    return folder


def model(folder: Path, version: int = 1) -> Path:
    """A model's folder: files of the right names, and of version 1 two speakers."""
    folder.mkdir()
    yaml = "cosyvoice.yaml" if version == 1 else f"cosyvoice{version}.yaml"
    names = ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx", f"speech_tokenizer_v{version}.onnx")
    for name in names:
        (folder / name).write_bytes(f"{name} {version}".encode())
    first = version == 1
    told = YAML.format(
        rate=22050 if first else 24000,
        frames=50 if first else 25,
        size=4096 if first else 6561,
        told="50" if first else "!ref <token_frame_rate>",
    )
    (folder / yaml).write_text(told)
    if first:
        import torch

        embedding = {"embedding": torch.zeros(1, 192)}
        torch.save({"英文女": embedding, "英文男": embedding}, folder / "spk2info.pt")
    return folder


def reference(folder: Path, text: str = "Hello, I am Anna.") -> Reference:
    """A clip to clone."""
    path = folder / "anna.wav"
    path.write_bytes(wav(sine(200.0, 2.0, 24000), 24000))
    return Reference(str(path), "0" * 64, text)


def tones(samples: npt.NDArray[np.int16], rate_hz: int, frame_rate_hz: float) -> list[int]:
    """What each whole frame's token is modulo 16, by its pitch."""
    hop = round(rate_hz / frame_rate_hz)
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64)
    times = np.arange(hop) / rate_hz
    waves = np.exp(-2j * np.pi * np.outer(400.0 + 100.0 * np.arange(16), times))
    found: list[int] = np.abs(frames @ waves.T).argmax(axis=1).tolist()
    return found


def cosyvoice(
    tmp_path: Path, version: int = 1, clip: str = "prompt_wav", **changes: Any
) -> Cosyvoice:
    """A backend of a new checkout and a model."""
    code, weights = checkout(tmp_path / "code", clip), model(tmp_path / "model", version)
    return Cosyvoice(checkout=str(code), folder=str(weights), device="cpu", **changes)


def calls() -> list[dict[str, Any]]:
    """How the imported checkout was called, in order."""
    found: list[dict[str, Any]] = sys.modules["cosyvoice.cli.cosyvoice"].CALLS  # type: ignore[attr-defined]
    return found


@contextmanager
def forgotten() -> Iterator[None]:
    """No checkout that is imported here stays imported."""
    path = list(sys.path)
    try:
        yield
    finally:
        for name in list(sys.modules):
            if name.split(".")[0] == "cosyvoice":
                del sys.modules[name]
        sys.path[:] = path
