"""``raygp`` and ``python -m raygp``."""

import sys


def main() -> int:
    """Run the command line; returns its exit code. Ctrl-C while torch loads, which takes seconds, ends it quietly."""
    try:
        from raygp.cli import main as run
    except KeyboardInterrupt:
        print("raygp: interrupted", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
