"""Keep a sparse LeNet up to date over arrivals of MNIST, from its four original files.

python jobs/mnist_incremental.py --idx-dir mnist --model lenet-300-100 --root raygp-mnist
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idx-dir", required=True, help="folder of the four idx files, gzipped or not")
    parser.add_argument("--model", choices=["lenet-300-100", "lenet-5"], default="lenet-300-100")
    add_job_options(parser, root="raygp-mnist", val_share=1 / 6, test_share=0.0)
    options = parse_options(parser)
    return run_job(options, {"name": options.model}, lambda: open_source(f"idx:{options.idx_dir}"))


if __name__ == "__main__":
    sys.exit(main())
