"""What ``benchmarks/continual.py --search`` tries for each method."""

from __future__ import annotations

from benchmarks.cost.spaces import Space

_RATES: Space = {"schedule": ["constant", "cycle"], "lr": [0.05, 0.1, 0.2]}
_FEWER_RATES: Space = {"schedule": ["constant", "cycle"], "lr": [0.05, 0.1]}
_DER: list[Space] = [
    {"schedule": ["cycle"], "lr": [0.1], "alpha": [0.1, 0.5], "beta": [0.5]},
    {"schedule": ["cycle"], "lr": [0.1], "alpha": [0.5], "beta": [1.0]},
    {"schedule": ["cycle", "constant"], "lr": [0.05], "alpha": [0.5], "beta": [0.5]},
    {"schedule": ["constant"], "lr": [0.1], "alpha": [0.5], "beta": [0.5]},
]
SPACES: dict[str, Space | list[Space]] = {
    "fine-tuning": _FEWER_RATES,
    "er-500": _FEWER_RATES, "er-5120": _FEWER_RATES,
    "der++-500": _DER, "der++-5120": _DER,
    "gdumb-500": _FEWER_RATES | {"epochs": [30]},
    "gdumb-5120": [{"schedule": ["cycle"], "lr": [0.05, 0.1], "epochs": [10]},
                   {"schedule": ["constant"], "lr": [0.05], "epochs": [10]}],
    "replay-all": _RATES, "uniform": _RATES, "joint": _RATES, "joint-2": _RATES,
}  # fmt: skip
