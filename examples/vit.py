"""A small vision transformer on two folders of images, one folder a class; the second brings a class that is new.

    python examples/vit.py week1 week2 line

timm's ViT takes its size from arguments: patches of 8 x 8 pixels, 2 layers of width 96.
"""

import sys

import raygp
from raygp.data.ingest import IngestSettings


def main(first: str, second: str, root: str, *settings: str) -> None:
    """Two arrivals, two versions. Settings such as ``plan.epochs=2`` may follow."""
    line = raygp.open(root)
    small = {"patch_size": 8, "depth": 2, "embed_dim": 96}
    task = {"name": "timm", "model": "vit_tiny_patch16_224", "image_size": 32, "arguments": small, "augment": "shift"}
    line.ingest(f"imagefolder:{first}", task=task)
    line.ingest(f"imagefolder:{second}", IngestSettings(new_classes=True))
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"{len(version.classes)} classes", version.metrics)

    # What of a layer is left: query, key and value of the first one's attention.
    weight = line.version("head").model().get_parameter("blocks.0.attn.qkv.weight")
    print(f"{weight.count_nonzero() / weight.numel():.0%} of {tuple(weight.shape)} in blocks.0.attn.qkv")


if __name__ == "__main__":
    main(*sys.argv[1:])
