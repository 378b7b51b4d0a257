"""How a gate met the rows of a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.report.columns import Flags, Flat, groups
from pipelines.outcome import Outcome
from transforms.gate import Gate
from transforms.norms import Norms


@dataclass
class GateUse:
    """How a gate met the accepted rows. Rows are ``judged``, ``unchecked`` or ``outside``.

    A row is unchecked where an utterance in the gate's scope has no taken measure, or where only
    an outlier could fail and ``norms`` do not know what is usual; outside where it has no utterance
    in scope. ``rejected`` counts the rejected rows that name this gate.
    """

    gate: Gate
    judged: int = 0
    unchecked: int = 0
    outside: int = 0
    rejected: int = 0
    norms: Norms | None = None

    def meets(self, flat: Flat) -> Flags:
        """Count a batch; which of its rows [R] the gate judged."""
        covered = in_scope_of(self.gate, flat)
        looked = flat.taken & flat.measure.among(lambda name: name == self.gate.measure)
        taken = np.zeros(len(covered), bool)
        taken[flat.turn_of_measure[looked]] = True
        if self.norms is not None and self.gate.min is None and self.gate.max is None:
            taken &= self._usual(flat, self.norms)
        in_scope = np.bincount(flat.row_of_turn[covered], minlength=flat.num_rows)
        measured = np.bincount(flat.row_of_turn[covered & taken], minlength=flat.num_rows)
        judged = (in_scope > 0) & (measured == in_scope)
        self.judged += int(judged.sum())
        self.unchecked += int((measured < in_scope).sum())
        self.outside += int((in_scope == 0).sum())
        return np.asarray(judged, np.bool_)

    def _usual(self, flat: Flat, norms: Norms) -> Flags:
        """Of which turns of a batch [T] it is known what is usual."""
        known = np.zeros(len(flat.voice.codes), np.bool_)
        for (lang, voice), turns in groups(flat.lang, flat.voice):
            said = {"lang": lang, "voice": voice}
            known[turns] = norms.of(self.gate.measure, self.gate.per, said) is not None
        return known

    def rejects(self, row: Outcome) -> bool:
        """Whether one of the row's reasons is this gate's."""
        return any(
            item["step"] == "select"
            and item["code"] == self.gate.measure
            and 0 <= item["turn"] < len(row["turns"])
            and self.gate.covers(*_said(row["turns"][item["turn"]], row["lang"]))
            for item in row["reasons"]
        )

    def covers(self, role: str, lang: str) -> bool:
        """Whether the gate judges such utterances, of any of its voices."""
        gate = self.gate
        return (not gate.roles or role in gate.roles) and (not gate.langs or lang in gate.langs)


def in_scope_of(gate: Gate, flat: Flat) -> Flags:
    """Which turns of a batch [T] a gate judges."""
    by_role = flat.role.among(lambda role: not gate.roles or role in gate.roles)
    by_voice = flat.voice.among(lambda voice: not gate.voices or voice in gate.voices)
    return by_role & by_voice & flat.lang.among(lambda lang: not gate.langs or lang in gate.langs)


def _said(turn: Mapping[str, Any], lang: str) -> tuple[str, str, str]:
    return turn["role"], lang, turn.get("voice") or ""
