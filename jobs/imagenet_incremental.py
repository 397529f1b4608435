"""Keep a sparse ResNet-18 up to date over arrivals of images.

With no arguments: scikit-learn's handwritten digits, drawn as small images, in three arrivals under ./raygp-demo.

    python jobs/imagenet_incremental.py
    python jobs/imagenet_incremental.py --source imagefolder:photos --root photos-line --image-size 64 plan.alpha=0.2
    ray job submit --working-dir . -- python jobs/imagenet_incremental.py --root s3://bucket/line
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout that is not installed, too.

from raygp.loading import ending_on_ctrl_c

with ending_on_ctrl_c():
    from raygp.cli.job import add_job_options, run_job
    from raygp.cli.options import parse_options
    from raygp.data.sources import open_source


def main() -> int:
    """Parse options and run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--source",
        default="digits",
        metavar="KIND:PATH",
        help="imagefolder:DIR (or a .tar of one); default: bundled digits",
    )
    parser.add_argument("--image-size", type=int, help="side of the model's input (default 32 for digits, else 64)")
    parser.add_argument(
        "--augment",
        choices=["none", "shift", "shift-flip", "resized-crop"],
        help="default: shift for digits, else shift-flip",
    )
    add_job_options(parser, root="raygp-demo", val_share=0.15, test_share=0.2)
    options = parse_options(parser)
    digits = options.source == "digits"
    size = options.image_size or (32 if digits else 64)
    task = {"name": "resnet18", "image_size": size, "augment": options.augment or ("shift" if digits else "shift-flip")}
    extra = {"image_size": size} if digits else {}
    return run_job(options, task, lambda: open_source(options.source, **extra))


if __name__ == "__main__":
    sys.exit(main())
