"""A model and a loss of one's own: it learns the images of one folder, then is updated with those of another.

    raygp check examples/own_task.py --source imagefolder:week1
    python examples/own_task.py week1 week2 line

The class and the function are the task. The same file starts the line here, which a task's file need not do.
"""

import sys
from pathlib import Path

from torch import nn
from torch.nn import functional as F

import raygp
from raygp.tasks.base import Images


class Photos(Images):
    """Two convolutions and a hidden layer."""

    image_size = 32
    augment = "shift"
    settings = {"lr": 0.01, "batch_size": 32, "optimizer": {"name": "adamw", "weight_decay": 0.01}}

    def build_model(self, num_classes):
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 64, 64), nn.ReLU(),
            nn.Linear(64, num_classes),
        )  # fmt: skip


def loss(outputs, targets):
    """Focal loss: what is answered well already counts little."""
    found = F.cross_entropy(outputs, targets, reduction="none")
    return (1 - (-found).exp()) * found


def main(first, second, root, *settings):
    """Two arrivals, two versions, an answer. Settings such as ``plan.epochs=2`` may follow."""
    line = raygp.open(root, task=__file__)
    line.ingest(f"imagefolder:{first}")
    line.ingest(f"imagefolder:{second}")
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"{version.card.density:.0%} of the connections", version.metrics)

    image = next(path for path in sorted(Path(second).rglob("*")) if path.is_file())
    [answer] = line.head.predict([image.read_bytes()])
    print(f"{image.name} of {image.parent.name}: {answer.label} ({answer.probabilities[0][1]:.0%})")


if __name__ == "__main__":
    main(*sys.argv[1:])
