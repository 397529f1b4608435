"""Speech: CMU's AN4, half of its training utterances a week, and the transcript of a recording.

    python examples/an4.py an4.tar.gz line

The archive is CMU's own. A whole run takes half an hour on two cores; ``synthesis.epochs=2 plan.epochs=1`` may follow,
to see that everything works.
"""

import sys

import raygp
from raygp.data.ingest import IngestSettings
from raygp.data.sources import open_source
from raygp.events import EpochEnded


def tell(event):
    """A line for each epoch."""
    if isinstance(event, EpochEnded):
        print(event.kind, f"epoch {event.epoch}/{event.epochs}", f"validation {event.record.val_accuracy:.2%}")


def main(archive, root, *settings):
    """Two arrivals, two versions, an answer."""
    line = raygp.open(root)
    line.listen(tell)
    line.ingest(f"an4:{archive}", IngestSettings(["first", "second"], [0.5, 0.5]), task={"name": "deepspeech2-small"})
    for version in line.update(line.settings(None, *settings)):
        print(version.name, f"density {version.card.density:.2f}", version.metrics)

    sample = next(sample for sample in open_source(f"an4:{archive}").samples() if sample.split == "test")
    [answer] = line.version().predict([sample.load()])
    print(f"said: {sample.label}\nheard: {answer.label}")


if __name__ == "__main__":
    main(*sys.argv[1:])
