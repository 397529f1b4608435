"""A number for each row of a table: how far diabetes goes on in a year, from ten measurements of 442 patients.

    python examples/tabular_numbers.py line

Ridge regression on the same rows stands beside it.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import raygp


def main(root: str, *settings: str) -> None:
    """One arrival, with the split of the table's own column. Settings such as ``synthesis.epochs=9`` may follow."""
    table = load_diabetes(as_frame=True, scaled=False).frame
    table["split"] = np.random.default_rng(0).choice(["train", "val", "test"], len(table), p=[0.6, 0.15, 0.25])
    file = Path(root).with_suffix(".csv")
    table.to_csv(file, index=False)
    line = raygp.open(root)
    line.ingest(f"table:{file}", task={"name": "tabular-regression", "label": "target"})
    [version] = line.update(line.settings(None, *settings))

    parts = {name: rows.drop(columns="split") for name, rows in table.groupby("split")}
    test = parts["test"].drop(columns="target")
    answers = version.predict(json.dumps(row).encode() for row in test.to_dict("records"))
    ridge = make_pipeline(StandardScaler(), Ridge())
    ridge.fit(parts["train"].drop(columns="target"), parts["train"]["target"])
    wanted = parts["test"]["target"].to_numpy()
    for name, found in (("raygp", [answer.value for answer in answers]), ("ridge", ridge.predict(test))):
        error = np.abs(np.array(found, dtype=float) - wanted)
        print(f"{name}: wrong by {error.mean():.1f} on average, R2 {1 - (error**2).mean() / wanted.var():.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
