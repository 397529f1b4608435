"""What updates for the watcher of a drill that does without Ray: the updates run in this process."""

import sys

from raygp.cli.watch_hands import main
from raygp.line.in_process import InProcessRunner

if __name__ == "__main__":
    sys.exit(main(lambda verbose: InProcessRunner()))
