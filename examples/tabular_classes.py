"""Classes of the rows of a table: scikit-learn's wines, 13 measurements of each, three growers.

    python examples/tabular_classes.py line
"""

import sys
from pathlib import Path

from sklearn.datasets import load_wine

import raygp


def main(root: str, *settings: str) -> None:
    """Two halves of the table as two arrivals. Settings such as ``plan.epochs=2`` may follow."""
    table = load_wine(as_frame=True).frame.sample(frac=1.0, random_state=0)
    for name, rows in (("first", table[:120]), ("second", table[120:])):
        rows.to_csv(Path(root).with_suffix(f".{name}.csv"), index=False)
    line = raygp.open(root)
    # The column "target" is found by its name; another one would be task={..., "label": "grower"}.
    line.ingest(f"table:{Path(root).with_suffix('.first.csv')}", task={"name": "tabular"})
    line.ingest(f"table:{Path(root).with_suffix('.second.csv')}")
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"density {version.card.density:.2f}", version.metrics)

    row = table.drop(columns="target").iloc[0].to_json().encode()
    [answer] = line.version().predict([row])
    print(f"grower {answer.label}, with probability {answer.probabilities[0][1]:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
