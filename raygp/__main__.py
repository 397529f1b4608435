"""``raygp`` and ``python -m raygp``."""

import sys

from raygp.loading import ending_on_ctrl_c


def main() -> int:
    """Run the command line; returns its exit code."""
    with ending_on_ctrl_c():
        from raygp.cli import main as run
    return run()


if __name__ == "__main__":
    sys.exit(main())
