"""The settings of a watcher: ``watch.*``. They change no update, only when there is one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from raygp.update.fields import Positive, Settings, Share
from raygp.watch.windows import Quiet, Window


class DropSettings(Settings):
    """The drop folder, and how what comes into it is ingested."""

    folder: str = ""
    """A folder or a URL such as ``s3://bucket/incoming``; each file or folder in it becomes an arrival. Nothing there
    is moved or deleted. Empty: there is none."""
    source: str = ""
    """Kind of source that everything in it is, such as ``imagefolder``. Empty: guessed from each, which needs a folder
    on this machine."""
    val_share: Share = 0.15
    """Part held out for validation, where a source does not say which."""
    test_share: Share = 0.15
    """Part held out for testing, where a source does not say which."""
    max_bad_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.01
    """Part of an arrival's rows that may be unusable; above it the arrival is refused."""
    new_classes: bool = False
    """Whether labels that the line has not seen are admitted."""
    duplicates: Literal["skip", "keep"] = "skip"
    """What becomes of rows that the line trains on already, or that come twice."""


class BudgetSettings(Settings):
    """What a line may spend in any seven days. Once that is spent, no update starts; one that runs goes on."""

    examples: Positive | None = None
    """Training examples (:class:`raygp.record.CostLedger`); null: no limit."""
    hours: Positive | None = None
    """Worker-hours; null: no limit."""
    money: Positive | None = None
    """Worker-hours times ``hour_price``; null: no limit."""
    hour_price: Positive | None = None
    """What an hour of one worker costs, in the currency of ``money``."""

    @model_validator(mode="after")
    def _has_price(self) -> BudgetSettings:
        if self.money is not None and self.hour_price is None:
            raise ValueError("a budget of money needs hour_price, which is what an hour of one worker costs")
        return self

    @property
    def is_set(self) -> bool:
        """Whether anything is limited."""
        return any(limit is not None for limit in (self.examples, self.hours, self.money))


class WatchSettings(Settings):
    """How ``raygp watch`` looks after a line."""

    interval_s: Annotated[float, Field(ge=0.05)] = 60.0
    """Seconds between two looks at the line and the drop folder."""
    drop: DropSettings = DropSettings()
    """The drop folder, and how what comes into it is ingested."""
    refused: Literal["wait", "fold", "aside"] = "fold"
    """What becomes of an arrival whose candidate the gate refused. fold: it goes with the next one. aside: it is left
    out; of several that were folded in together, those that are refused by themselves. wait: no update starts before a
    person has withdrawn it or changed the settings."""
    attempts: Annotated[int, Field(ge=1)] = 5
    """How often an update that fails is tried. Then its arrivals are left alone until another was folded in."""
    pause_s: Annotated[float, Field(ge=0.0)] = 60.0
    """Seconds to wait after a first failure, of an update or of storage; twice as long after each further one."""
    max_pause_s: Annotated[float, Field(ge=0.0)] = 3600.0
    """Seconds that are waited at most."""
    quiet: list[str] = Field(default_factory=list)
    """Windows of time in which no update starts: ``mon-fri 08:00-18:00``, ``22:00-06:00``, ``sat,sun 00:00-24:00``."""
    timezone: str = ""
    """Whose clock ``quiet`` means, such as ``Europe/Berlin``; empty: that of this machine."""
    budget: BudgetSettings = BudgetSettings()
    """What the line may spend in any seven days."""
    sweep: bool = False
    """Whether the plan of each update is searched for, as ``raygp update --sweep`` does."""

    @field_validator("quiet")
    @classmethod
    def _are_windows(cls, windows: list[str]) -> list[str]:
        for window in windows:
            Window.parse(window)
        return windows

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        Quiet([], zone)
        return zone

    @model_validator(mode="after")
    def _fits(self) -> WatchSettings:
        Quiet(self.quiet, self.timezone)
        if "://" in self.drop.folder and not self.drop.folder.startswith("file://") and not self.drop.source:
            raise ValueError("a drop folder at an address needs drop.source, such as imagefolder: nothing guesses it")
        return self
