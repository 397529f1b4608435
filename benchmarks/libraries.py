"""Which classifiers of timm and torchvision raygp understands: every one of them, at its own image size.

    python benchmarks/libraries.py --out models.jsonl [--library timm] [--only 'mobile*']

One line of JSON a model: what was found of it, or why it is refused. Interrupted, the same command goes on where it
was. Nothing is trained, no weights are held: about a second a model on one core.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from raygp.errors import InputError
from raygp.tasks import make_task
from raygp.tasks.libraries import LIBRARIES
from raygp.tasks.libraries.task import library_of

_MOST_SECONDS = 60
"""Of computing for one model."""


class _TooLong(BaseException):
    """A model takes longer than there is time for. No Exception, which a check of a model would take for its own."""


def looked_at(library: str, model: str) -> dict[str, Any]:
    """The row of one model."""
    started = time.perf_counter()
    signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
    try:
        spec = make_task({"name": library, "model": model}).spec.model_dump(mode="json")
        found = {key: spec[key] for key in ("network", "output_layers", "image_size", "arguments", "dense")}
    except InputError as error:
        found = {"refused": str(error)}
    except _TooLong as late:
        found = {"failed": str(late)}
    except Exception as error:  # A bug here or a surprise there: it must not end the survey.
        found = {"failed": f"{type(error).__name__}: {error}"}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return {"model": f"{library}:{model}", "seconds": round(time.perf_counter() - started, 2)} | found


def _on_alarm(number: int, frame: Any) -> None:
    raise _TooLong(f"more than {_MOST_SECONDS} s of computing")


def main() -> None:
    """Look at all models that are asked for, then count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="one line of JSON a model")
    parser.add_argument("--library", choices=LIBRARIES, help="default: all")
    parser.add_argument("--only", default="*", help="pattern of names")
    options = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _on_alarm)
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {row["model"] for row in rows}
    with options.out.open("a") as out:
        for library in LIBRARIES if options.library is None else (options.library,):
            for model in fnmatch.filter(library_of(library).names(), options.only):
                if f"{library}:{model}" not in done:
                    rows.append(looked_at(library, model))
                    print(json.dumps(rows[-1]), file=out, flush=True)
    print(Counter("failed" if "failed" in row else row.get("network", "refused") for row in rows))


if __name__ == "__main__":
    main()
