"""The contract of a unit set: what a sequence of discrete units means, and how long it must be.

Codes [nq, T] travel flat, codebook after codebook: [nq * T] integers.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final, Literal

from schemas.errors import SchemaError

# run_length_lost: runs of equal units are one, and nobody kept their lengths
Collapse = Literal["run_length", "run_length_lost", "none"]

# How frames lie over n samples. window: (n - window) // hop + 1, a stack of convolutions without
# padding; ceil: as many hops as cover n; mel: spectrum frames of window_samples each, n // window
# of them, as many of hop // window together as cover these.
Grid = Literal["window", "ceil", "mel"]

EXTRACTED: Final = "extracted from the shipped int16 audio"
OWN: Final = "the speech model's own tokens, from which the shipped audio was made"
SHORTEST_JUDGED_S: Final = 1.0  # the rate of units of shorter audio says little


@dataclass(frozen=True, kw_only=True)
class UnitSet:
    """A named kind of units. Every id is in [0, codebook_size); codes are [num_codebooks, T].

    The fields from ``grid`` on stand in a manifest only where they say something.
    """

    name: str
    sample_rate_hz: int  # of the audio that ships
    window_samples: int  # at the model's rate, as hop and chunk
    hop_samples: int
    num_codebooks: int
    codebook_size: int
    collapse: Collapse
    roles: tuple[str, ...]  # whose turns carry units
    model: str
    model_sha256: str  # of what computes the features; of its parameters where it has no weights
    centroids_sha256: str
    provenance: str = EXTRACTED
    grid: Grid = "window"
    model_rate_hz: int = 0  # that audio is resampled to for the model; 0: as it ships
    chunk_samples: int = 0  # that the model sees at once; 0: all
    slack_frames: int = 0  # by which T may miss frames(n): for tokens that came before the audio
    layer: int | None = None  # of the model, whose features were clustered
    normalization: str = ""  # of the model's input
    units_per_s: tuple[float, float] | None = None  # of an utterance of a second or more

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second of audio."""
        return (self.model_rate_hz or self.sample_rate_hz) / self.hop_samples

    def frames(self, num_samples: int) -> int:
        """How many frames ``num_samples`` samples, at the rate that ships, have by the grid."""
        length = num_samples
        if self.model_rate_hz:
            length = resampled_length(num_samples, self.sample_rate_hz, self.model_rate_hz)
        if not self.chunk_samples:
            return self._on_grid(length)
        whole, rest = divmod(length, self.chunk_samples)
        return whole * self._on_grid(self.chunk_samples) + self._on_grid(rest)

    def _on_grid(self, length: int) -> int:
        if self.grid == "ceil":
            return -(-length // self.hop_samples)
        if self.grid == "mel":
            group = self.hop_samples // self.window_samples
            return -(-(length // self.window_samples) // group)
        if length < self.window_samples:
            return 0
        return (length - self.window_samples) // self.hop_samples + 1

    def frames_words(self) -> str:
        """The formula of frames, for people; n counts samples at the model's rate."""
        window, hop = self.window_samples, self.hop_samples
        words = {
            "window": f"(n - {window}) // {hop} + 1",
            "ceil": f"ceil(n / {hop})",
            "mel": f"ceil((n // {window}) / {hop // max(1, window)})",
        }[self.grid]
        if self.model_rate_hz:
            words += f", n at {self.model_rate_hz} Hz"
        if self.chunk_samples:
            words += f", in each chunk of {self.chunk_samples:,} samples"
        return words

    def to_json(self) -> dict[str, object]:
        """Plain JSON values, for the manifest."""
        plain = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in LATER or getattr(self, item.name) != item.default
        }
        given = {name: plain[name] for name in asdict(self) if name in plain}
        if self.units_per_s is not None:
            given["units_per_s"] = list(self.units_per_s)
        return {**given, "roles": list(self.roles)}

    @staticmethod
    def from_json(value: dict[str, object]) -> "UnitSet":
        """The unit set that ``to_json`` wrote. Raises SchemaError for anything else."""
        try:
            roles = value["roles"]
            if not isinstance(roles, list):
                raise TypeError("roles is not a list")
            rest = dict(value)
            bounds = rest.pop("units_per_s", None)
            if bounds is not None:
                if not isinstance(bounds, list) or len(bounds) != 2:
                    raise TypeError("units_per_s is not two numbers")
                rest["units_per_s"] = (float(bounds[0]), float(bounds[1]))
            return UnitSet(**{**rest, "roles": tuple(roles)})  # type: ignore[arg-type]
        except (KeyError, TypeError) as error:
            raise SchemaError(f"a manifest's unit set cannot be read: {error}") from error

    def violations(
        self, codes: Sequence[int], durations: Sequence[int] | None, num_samples: int
    ) -> list[str]:
        """Every way in which one utterance's units break the contract; empty if they keep it.

        ``codes`` are [nq * T], codebook after codebook.
        """
        found: list[str] = []
        frames = self.frames(num_samples)
        length, over = divmod(len(codes), self.num_codebooks)
        if over:
            found.append(f"{len(codes)} ids are not {self.num_codebooks} codebooks of one length")
        if codes and not (min(codes) >= 0 and max(codes) < self.codebook_size):
            found.append(
                f"unit ids span {min(codes)}..{max(codes)}, wanted 0..{self.codebook_size - 1}"
            )
        wanted = str(frames) if not self.slack_frames else f"{frames} +- {self.slack_frames}"
        if self.collapse == "run_length":
            if durations is None or len(durations) != length:
                found.append(f"{length} units need as many durations")
            elif durations and min(durations) < 1:
                found.append(f"a duration of {min(durations)} frames, wanted at least 1")
            elif abs(sum(durations) - frames) > self.slack_frames:
                found.append(
                    f"durations sum to {sum(durations)} frames, wanted {wanted} for "
                    f"{num_samples} samples"
                )
        elif self.collapse == "run_length_lost":
            if durations is not None:
                found.append("there are durations, wanted none; the collapse is run_length")
            if length > frames or (frames and not codes):
                found.append(f"{length} units, wanted 1 to {frames} for {num_samples} samples")
        elif abs(length - frames) > self.slack_frames:
            found.append(f"{length} units, wanted {wanted} for {num_samples} samples")
        if self.collapse != "none" and any(a == b for a, b in itertools.pairwise(codes)):
            found.append("two neighboring units are equal though runs are collapsed")
        return [*found, *self._rate_violations(length, num_samples)]

    def _rate_violations(self, length: int, num_samples: int) -> list[str]:
        seconds = num_samples / self.sample_rate_hz
        if self.units_per_s is None or seconds < SHORTEST_JUDGED_S:
            return []
        least, most = self.units_per_s
        if least <= length / seconds <= most:
            return []
        return [
            f"{length / seconds:.2f} units per second of {seconds:.1f} s, wanted {least:g} to "
            f"{most:g}; is the audio silent, or are the centroids another model's?"
        ]


LATER: Final = frozenset(
    ("grid", "model_rate_hz", "chunk_samples", "slack_frames", "layer", "normalization")
) | {"units_per_s"}


def resampled_length(num_samples: int, from_hz: int, to_hz: int) -> int:
    """Samples at ``to_hz`` that cover ``num_samples`` at ``from_hz``."""
    return -(-num_samples * to_hz // from_hz)
