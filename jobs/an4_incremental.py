"""Keep a sparse DeepSpeech2 up to date over arrivals of speech.

    python jobs/an4_incremental.py                                       # synthetic tone-spelt words, nothing needed
    python jobs/an4_incremental.py --source an4:an4.tar.gz --root an4-line
    ray job submit --working-dir . -- python jobs/an4_incremental.py --source audio:DIR --root s3://bucket/line

The accuracy of tables and of the gate is 1 - word error rate of greedy decoding. Options: --help.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raygp.loading import ending_on_ctrl_c

with ending_on_ctrl_c():
    from raygp.cli.job import add_job_options, run_job
    from raygp.cli.options import parse_options
    from raygp.data.sources import open_source


def main() -> int:
    """Run the job; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="tones", help="an4:FILE, audio:DIR or tones (default, synthetic)")
    parser.add_argument(
        "--model",
        choices=["deepspeech2-small", "deepspeech2"],
        default="deepspeech2-small",
        help="deepspeech2 is the paper's size (default: a size for two CPU cores)",
    )
    add_job_options(parser, root="raygp-an4", val_share=1 / 6, test_share=1 / 6)
    options = parse_options(parser)
    return run_job(options, {"name": options.model}, lambda: open_source(options.source))


if __name__ == "__main__":
    sys.exit(main())
