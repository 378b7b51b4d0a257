"""How often each code of a unit set is used."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from jobs.report.reading import IndexRow, read_sample
from schemas.shard import read_npy
from schemas.store import Store
from schemas.unitset import UnitSet


@dataclass
class CodeUse:
    """How often each code of a unit set stands in the samples that were read."""

    samples: int = 0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def used(self) -> int:
        """Distinct codes seen."""
        return int(np.count_nonzero(self.counts))

    @property
    def perplexity(self) -> float:
        """2 ** entropy of the codes: how many would be in use if all used ones were as frequent."""
        if not self.used:
            return 0.0
        shares = self.counts[self.counts > 0] / self.counts.sum()
        return float(2.0 ** -(shares * np.log2(shares)).sum())


def code_use(store: Store, rows: Iterable[IndexRow], unit_set: UnitSet) -> CodeUse:
    """Count the codes of the first codebook in some samples."""
    use = CodeUse(counts=np.zeros(unit_set.codebook_size, np.int64))
    for row in rows:
        use.samples += 1
        for suffix, data in read_sample(store, row).items():
            if suffix.endswith(f".{unit_set.name}.npy"):
                codes = read_npy(data)[0].astype(np.int64)
                use.counts += np.bincount(codes, minlength=unit_set.codebook_size)
    return use
