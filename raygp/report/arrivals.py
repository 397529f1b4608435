"""An arrival in words."""

from __future__ import annotations

from raygp.store import Manifest


def rows_by_split(manifest: Manifest) -> str:
    """``1,200 train, 150 val``."""
    splits = dict.fromkeys(shard.split for shard in manifest.shards)
    return ", ".join(f"{manifest.rows(split):,} {split}" for split in splits)
