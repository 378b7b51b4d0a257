"""Simple LaTeX as signs that the verbalizers know; what stays LaTeX is reported as math."""

import re
from re import Match

_SIGNS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥",
    "neq": "≠", "ne": "≠", "approx": "≈", "pi": "π", "alpha": "α", "beta": "β", "gamma": "γ",
    "theta": "θ", "lambda": "λ", "mu": "μ", "sigma": "σ", "omega": "ω", "Delta": "Δ",
    "infty": "∞", "rightarrow": "→", "to": "→", "circ": "°", "%": "%",
    "quad": " ", "left": "", "right": "", ",": " ", "$": "$",
}  # fmt: skip
_SIGN = re.compile(
    r"\\(" + "|".join(sorted(map(re.escape, _SIGNS), key=len)[::-1]) + r")(?![A-Za-z])"
)
_WRAPPER = re.compile(r"\\(?:text|mathrm|mathbf|boxed|textbf)\{([^{}\\]{0,80})\}")
_FRACTION = re.compile(r"\\[dt]?frac\{([\w.]{1,12})\}\{([\w.]{1,12})\}")
_ROOT = re.compile(r"\\sqrt\{(\w{1,12})\}")
_POWER = re.compile(r"\^\{(-?\w{1,6})\}")
_DELIMITED = re.compile(r"\\\(([^\\{}_]{1,120}?)\\\)|\\\[([^\\{}_]{1,120}?)\\\]")
# A formula between dollars has a letter or an operator; "$5 and $6" are two prices.
_DOLLARS = re.compile(
    r"\$\$?([A-Za-z](?:\^\w)?|[^$\\{}_\n]{0,60}[=+×÷^≤≥≈→][^$\\{}_\n]{0,60})\$\$?(?!\d)"
)


def plain_formulas(line: str) -> str:
    r"""``line`` with \(x^{2} \times \frac{1}{2}\) as x^2 × 1/2, as far as it is that simple."""
    line = _WRAPPER.sub(r"\1", line)
    line = _ROOT.sub(r"√\1", _FRACTION.sub(_over, line))
    line = _POWER.sub(r"^\1", _SIGN.sub(lambda m: _SIGNS[m[1]], line))
    line = _DELIMITED.sub(lambda m: m[1] or m[2], line)
    return _DOLLARS.sub(r"\1", line)


def _over(m: Match[str]) -> str:
    return f"{m[1]}/{m[2]}"
