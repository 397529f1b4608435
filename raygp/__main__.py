"""``python -m raygp``."""

import sys

from raygp.cli import main

sys.exit(main())
