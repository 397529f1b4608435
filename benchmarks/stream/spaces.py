"""What ``benchmarks/continual.py --search`` tries for each method."""

from __future__ import annotations

from typing import Any

from benchmarks.cost.spaces import Space

_RATES: Space = {"schedule": ["constant", "cycle"], "lr": [0.05, 0.1, 0.2]}
_ADAM: Space = {"optimizer": ["adam"], "schedule": ["cycle"], "lr": [0.001, 0.002, 0.004]}
_FEWER_RATES: Space = {"schedule": ["constant", "cycle"], "lr": [0.05, 0.1]}
_DER: list[Space] = [
    {"schedule": ["cycle"], "lr": [0.1], "alpha": [0.1, 0.5], "beta": [0.5]},
    {"schedule": ["cycle"], "lr": [0.1], "alpha": [0.5], "beta": [1.0]},
    {"schedule": ["cycle", "constant"], "lr": [0.05], "alpha": [0.5], "beta": [0.5]},
    {"schedule": ["constant"], "lr": [0.1], "alpha": [0.5], "beta": [0.5]},
    # Higher weights of the kept answers diverge.
    {"schedule": ["cycle"], "lr": [0.05, 0.1], "alpha": [0.1], "beta": [1.0]},
    {"schedule": ["cycle"], "lr": [0.2], "alpha": [0.1], "beta": [0.5]},
    {"optimizer": ["adam"], "schedule": ["cycle"], "lr": [0.001, 0.002], "alpha": [0.1], "beta": [0.5]},
]


def _raygp(optimizer: dict[str, Any], lr: float, *, share: float, end: float, first: float = 0.95) -> Space:
    """Updates of one pass over an equal share of the arrival and of all that is stored, from a grown network."""
    pruned = {"kind": "prune-permanent", "gradual": True, "start": 0.0 if end < 0.7 else 0.1, "end": end}
    return {
        "phases": [[{"kind": "grow-new", "epochs": 0}, pruned]], "epochs": [1], "batch_size": [20], "alpha": [1.0],
        "distribution": ["global"], "optimizer": [optimizer], "lr": [lr], "clip_norm": [None],
        "arrival": [{"share": share, "hard": 0.0}], "replay": [{"share": share, "hard": 0.0}],
        "synthesis": [{"arrival": {"share": first, "hard": 0.0}}],
    }  # fmt: skip


_LATER = _raygp({"name": "adam", "momentum": 0.8}, 0.004, share=0.595, end=0.5, first=0.3)
_EVEN: list[Space] = [
    # As many examples as the arrival has twice, the growth pass included.
    _raygp({"name": "adam", "momentum": 0.8}, 0.004, share=arrival, end=0.5) | {"replayed": [replayed]}
    for arrival, replayed in ((0.45, 1.5), (0.65, 1.3), (0.95, 1.0))
]
SPACES: dict[str, Space | list[Space]] = {
    "fine-tuning": _FEWER_RATES,
    "er-500": _FEWER_RATES, "er-5120": [_FEWER_RATES, {"schedule": ["cycle"], "lr": [0.2]}, _ADAM],
    "der++-500": _DER, "der++-5120": _DER,
    "gdumb-500": [_FEWER_RATES | {"epochs": [30]}, {"schedule": ["cycle"], "lr": [0.2], "epochs": [30]}],
    "gdumb-5120": [{"schedule": ["cycle"], "lr": [0.05, 0.1, 0.2], "epochs": [10]},
                   {"schedule": ["constant"], "lr": [0.05], "epochs": [10]}],
    "replay-all": [_RATES, _ADAM], "uniform": [_RATES, _ADAM],
    "uniform-share": {"schedule": ["cycle"], "lr": [0.05, 0.1, 0.2]},
    "joint": [_RATES, _ADAM], "joint-2": [_RATES, _ADAM],
    "raygp-even": _EVEN,
    "raygp": [
        # All spend a little less than ER does. Momentum, and its gradients clipped ...
        _raygp({"name": "sgd"}, 0.05, share=0.545, end=0.7) | {"clip_norm": [1.0]},
        # ... or Adam, pruned at once or later,
        *(_raygp({"name": "adam", "momentum": 0.8}, 0.004, share=0.545, end=end) for end in (0.7, 0.5)),
        # and less for the first arrival, which two classes make easy.
        _LATER,
        # Batches of 10.
        _LATER | {"batch_size": [10], "lr": [0.002, 0.003]},
        # Fewer of the dormant connections instead of all; another distribution; learning from the parent, whose
        # answers take a fourth of the examples.
        _LATER | {"alpha": [0.3, 0.1, 0.03]},
        _LATER | {"distribution": ["erk"]},
        _LATER | {
            "arrival": [{"share": 0.45, "hard": 0.0}], "replay": [{"share": 0.45, "hard": 0.0}],
            "distillation": [{"weight": 0.3, "fades_at": None}],
        },
    ],
}  # fmt: skip
