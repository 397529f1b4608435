"""Somebody's dense ResNet-18 goes on as a sparse one: adopt a checkpoint of torchvision's, and prune it on your images.

    python examples/adopt_resnet18.py resnet18.pth imagefolder:photos --root line --image-size 64

The first version is the model as it was trained: the same answers, bit for bit. The second is a tenth of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import raygp
from raygp.events import Adopted, EpochEnded, Event


def tell(event: Event) -> None:
    """Print what a person wants to follow."""
    if isinstance(event, Adopted):
        origin = event.card.origin
        print("adopted", event.card.version, "new:", origin.made_new if origin else [])
    elif isinstance(event, EpochEnded):
        print(f"epoch {event.epoch}/{event.epochs}: density {event.density:.3f}, loss {event.record.loss:.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Ingest, adopt, prune, and say how good both versions are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="a state dict, or a trainer's checkpoint with one in it")
    parser.add_argument("source", help="images to go on with, such as imagefolder:photos")
    parser.add_argument("--root", default="line", help="where the line is made")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--classes", help="file with the order of classes that the checkpoint was trained with")
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("settings", nargs="*", help="of the update, such as plan.epochs=4")
    options = parser.parse_intermixed_args(arguments)

    line = raygp.open(options.root)
    line.listen(tell)
    line.ingest(options.source, task={"name": "resnet18", "image_size": options.image_size, "augment": "shift-flip"})
    settings = line.settings(None, *options.settings)
    line.adopt(options.weights, classes=options.classes, density=options.density, settings=settings)
    for version in line.versions():
        print(version.name, f"density {version.card.density:.2f}", version.metrics)


if __name__ == "__main__":
    main()
