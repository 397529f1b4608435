"""A ResNet of timm on two folders of images, one folder a class: it learns one, then is updated with the other.

    python examples/timm_cnn.py week1 week2 line

Any other classifier will do in its place, of torchvision too: {"name": "torchvision", "model": "mobilenet_v3_small"}.
"""

import sys
from pathlib import Path

import raygp


def main(first: str, second: str, root: str, *settings: str) -> None:
    """Two arrivals, two versions, an answer. Settings such as ``plan.epochs=2`` may follow."""
    line = raygp.open(root)
    task = {"name": "timm", "model": "resnet10t", "image_size": 32, "augment": "shift"}
    line.ingest(f"imagefolder:{first}", task=task)
    line.ingest(f"imagefolder:{second}")
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"{version.card.density:.0%} of the connections", version.metrics)

    image = next(path for path in sorted(Path(second).rglob("*")) if path.is_file())
    [answer] = line.version("head").predict([image.read_bytes()])
    print(f"{image.name} of {image.parent.name}: {answer.label} ({answer.probabilities[0][1]:.0%})")


if __name__ == "__main__":
    main(*sys.argv[1:])
