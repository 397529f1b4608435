"""From a story to one self-contained page of HTML: it works from a file, asks nothing of any network, and everything
that a user named is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from raygp.page import tables, update_tables, words
from raygp.page.charts import charts_of
from raygp.page.drawing import Chart
from raygp.page.saying import density_of, moment
from raygp.page.story import ExampleRow, MaskPicture, Story, UpdatePart, VersionPart
from raygp.record import called, measured
from raygp.tasks.extras import require

GENERATOR = "raygp report"
"""What the page says of who made it: such a file may be written over."""
_EMBED = "window.raygpEmbed = (plot, spec, options) => vegaEmbed(plot, spec, options);"
_LEAST = 300
"""Pixels of a picture's longer side on the page: smaller ones are enlarged."""


def render(story: Story) -> str:
    """The page.

    Raises:
        InputError: a package of the extra ``report`` is missing.
    """
    jinja2 = require("jinja2", "raygp report", "report")
    loader = jinja2.PackageLoader("raygp.page", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    charts = charts_of(story)
    library, script = _library(), _file("page.js")
    html: str = environment.get_template("page.html").render(
        story=story,
        generator=GENERATOR,
        made=moment(story.made),
        css=_file("page.css"),
        library=library,
        script=script,
        script_sources=" ".join(_hash(text) for text in (library, script)),
        specs=_json(_packed(charts)),
        charts=charts,
        **_content(story, charts),
    )
    return html


def _content(story: Story, charts: Mapping[str, Chart]) -> dict[str, Any]:
    """What the template shows, section by section."""
    found = {
        "versions": tables.versions_table(story),
        "costs": tables.costs_table(story),
        "arrivals": tables.arrivals_table(story),
        "matrix": tables.matrix_table(story) if "matrix" in charts else None,
        "classes": tables.classes_table(story) if len(story.classes) > 1 else None,
        "refusals": tables.refusals_table(story.refusals, story.metric) if story.refusals else None,
    }
    return {
        "tables": found,
        "sections": _sections(story, found),
        "accuracy_caption": _accuracy_caption(story),
        "connections_caption": _connections_caption(story),
        "classes_caption": _classes_caption(story),
        "sweep_caption": "Trials that finished: accuracy against connections, sized by cost. The line joins the Pareto "
        "front, the ring is the plan that was chosen, the dashes are the parent.",
        "examples_words": words.about_examples(story.examples),
        "kinds": _kinds(story),
        "updates": _updates(story),
    }


def _sections(story: Story, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Links at the top: ids and titles of the sections that there are."""
    every = [
        ("story", "What happened", True),
        ("versions", "Versions", bool(story.versions)),
        ("arrivals", "Arrivals", bool(story.arrivals)),
        ("classes", "Classes", bool(found["classes"])),
        ("examples", "Changed answers", story.examples is not None),
        ("updates", "Updates", bool(story.updates)),
        ("refusals", "Refusals", bool(story.refusals)),
        ("notes", "How to read this", True),
    ]
    return [(id, title) for id, title, is_there in every if is_there]


def _accuracy_caption(story: Story) -> str:
    others = (
        " Versions have different validation rows, so that dots of two versions are no comparison."
        if len({version.rows for version in story.versions}) > 1
        else ""
    )
    new = " Of versions that bring classes, it is their answer among the classes that the parent knows."
    brings = any(version.known.among_known is not None for version in story.versions)
    return f"Each version and its parent on the same validation rows.{new if brings else ''}{others}"


def _connections_caption(story: Story) -> str:
    if not story.versions:
        return ""
    last = story.versions[-1]
    return f"Active connections of each version. A dense network of {last.version}'s kind has {last.total:,}."


def _classes_caption(story: Story) -> str:
    if not story.classes:
        return ""
    worst = min(story.classes, key=lambda part: part.pair.accuracy)
    rows = "" if worst.pair.rows is None else f" of {worst.pair.rows:,} rows"
    return (
        f"Validation accuracy of {story.head} by class, the worst first, its parent beside it on the same rows. The "
        f"worst is {worst.name}, with {measured(worst.pair.accuracy)}{rows}."
    )


def _kinds(story: Story) -> list[dict[str, Any]]:
    """Examples by kind of difference, with titles that count them."""
    if story.examples is None:
        return []
    examples = story.examples
    titles = (
        [("gained", "Closer now"), ("lost", "Further away now")]
        if examples.numbers
        else [("gained", "Right now"), ("lost", "Wrong now"), ("other", "Otherwise now")]
    )
    found = []
    for kind, title in titles:
        rows = [row for row in examples.rows if row.kind == kind]
        count = getattr(examples, kind)
        some = f"{len(rows):,} of {count:,}" if len(rows) < count else f"{count:,}"
        found.append({"title": f"{title} ({some})", "rows": [_example(row, examples.numbers) for row in rows]})
    return found


def _example(row: ExampleRow, numbers: bool) -> dict[str, Any]:
    def judged(said: str) -> str:
        return "" if numbers else "right" if said == row.label else "wrong"

    def sure(value: float | None) -> str:
        return "" if value is None else f" ({100 * value:.0f}%)"

    return {
        **row.model_dump(),
        "alt": f"A held-out sample of {row.label}",
        "after_class": judged(row.version_said),
        "before_class": judged(row.parent_said),
        "version_sure": sure(row.version_sure),
        "parent_sure": sure(row.parent_sure),
    }


def _updates(story: Story) -> list[dict[str, Any]]:
    """Each update with its tables and the line that stands for it while it is closed."""
    versions = {version.version: version for version in story.versions}
    return [_update(update, versions[update.version], story.metric) for update in story.updates]


def _update(update: UpdatePart, version: VersionPart, metric: str) -> dict[str, Any]:
    notes = list(update.rungs)
    if version.origin:
        notes.append(f"{version.version} was {version.origin}. It is dense, and has seen no arrival.")
    if not update.detailed:
        notes.append("Its epochs are left out for the size of this page.")
    elif not update.epochs and update.phases:
        notes.append("Its card has no epochs: an earlier raygp wrote it.")
    return {
        "part": update,
        "summary": _summary(version, metric),
        "notes": notes,
        "compared": any(layer.kept is not None for layer in update.layers),
        "phases": update_tables.phases_table(update, metric),
        "epochs": update_tables.epochs_table(update, metric) if update.epochs else None,
        "layers": update_tables.layers_table(update),
        "trials": update_tables.trials_table(update.version, update.sweep, metric) if update.sweep else None,
        "drift": update_tables.drift_table(update) if update.drift else None,
        "masks": [_mask(mask) for mask in update.masks],
    }


def _summary(version: VersionPart, metric: str) -> list[str]:
    folds = ", ".join((*version.beside, version.arrival)) if version.arrival else "adopted"
    pair = version.known
    found = [folds]
    if pair.parent is None:
        found.append(called(version.accuracy, metric))
    else:
        both = f"{called(tables.ours(pair), metric)}, parent {measured(pair.parent, metric)} on the same rows"
        found.append(both)
    found.append(f"{version.active:,} connections ({density_of(version.density)})")
    if version.cost.examples:
        found.append(f"{version.cost.examples:,.0f} examples")
    if state := tables.VERSION_STATES[version.state]:
        found.append(state)
    return found


def _mask(mask: MaskPicture) -> dict[str, Any]:
    """A picture with its size on the page: small ones are enlarged by a whole number."""
    times = max(1, _LEAST // max(1, max(mask.width, mask.height)))
    return {
        "picture": mask.picture,
        "layer": mask.layer,
        "words": mask.words,
        "dots": "" if mask.down == mask.across == 1 else f" A dot is {mask.down} x {mask.across} connections.",
        "width": mask.width * times,
        "height": mask.height * times,
    }


def _packed(charts: Mapping[str, Chart]) -> dict[str, Any]:
    """The charts for the page's script: specifications that several share stand once, and data column by column."""
    kinds: dict[str, int] = {}
    packed = {}
    for name, chart in charts.items():
        kind = kinds.setdefault(json.dumps(chart.spec), len(kinds))
        data = {key: {field: [row[field] for row in rows] for field in rows[0]} for key, rows in chart.data.items()}
        packed[name] = [kind, data]
    return {"kinds": [json.loads(kind) for kind in kinds], "charts": packed}


def _file(name: str) -> str:
    return resources.files("raygp.page").joinpath("templates", name).read_text("utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed with all that they need, as one script: some 0.9 MB, in seconds.

    Raises:
        InputError: the package that has them is missing.
    """
    made: str = require("vl_convert", "raygp report", "report").javascript_bundle(_EMBED)
    # Inside a page, this would end the script; in JavaScript's strings the two are the same.
    return made.replace("</script", "<\\/script").replace("\r\n", "\n")


def _hash(script: str) -> str:
    """What the page's policy calls a script that may run: no other one may."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that can stand inside a script element, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
