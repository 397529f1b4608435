"""Everything that touches storage: arrivals, versions, and the head of a model line.

The name of a data file holds the start of its SHA-256, so that writers who race never overwrite each other's files. The
JSON document that lists the files, with sizes and full hashes, is written last, and only if it does not exist yet: once
it is there, the arrival or version exists. Whoever reads a file checks its size and hash.
"""

from raygp.store.arrivals import ArrivalWriter, Part, PartWriter, check_free
from raygp.store.backends import STORES, Connect, Files, StoredFile
from raygp.store.begun import begun_with, note_begun
from raygp.store.card import Card, Origin, OriginFile, list_versions, next_version, reachable, read_card, version_number
from raygp.store.conditions import require_conditional_writes
from raygp.store.drift import drift_path, list_drift, read_drift, remove_drift, write_drift
from raygp.store.files import FileInfo
from raygp.store.garbage import Garbage, find_garbage, remove_garbage
from raygp.store.head import (
    Head,
    finish_interrupted_promotion,
    open_head,
    promote,
    read_head,
    rollback,
    version_to_make,
    waiting_version,
)
from raygp.store.lease import line_lease, publishing_lease
from raygp.store.line import LineSpec, change_task, check_root_usable, create_line, open_line
from raygp.store.location import Location
from raygp.store.manifest import (
    Duplicates,
    Manifest,
    ShardInfo,
    arrival_names,
    check_arrival_name,
    find_manifest,
    find_manifests,
    list_arrivals,
)
from raygp.store.parts import (
    discard_parts,
    find_parts,
    forget_parts,
    index_part,
    keep_part,
    part_plans,
    publish_recorded,
    published_from,
)
from raygp.store.refusals import Refusal, read_refusal, write_refusal
from raygp.store.samples import kept_index, make_index, read_index, sample_digest
from raygp.store.shards import read_labels, read_shard
from raygp.store.verify import Verified, verify_arrival
from raygp.store.versions import check_weights, read_tensors, remove_version, write_version
from raygp.store.waiting import (
    Waiting,
    find_waiting,
    forget_waiting,
    mark_waiting,
    read_approval,
    read_waiting,
    write_approval,
)
from raygp.store.withdrawal import finish_removal, is_half_withdrawn, remove_arrival, withdrawn_since

__all__ = [
    "STORES",
    "ArrivalWriter",
    "Card",
    "Connect",
    "Duplicates",
    "FileInfo",
    "Files",
    "Garbage",
    "Head",
    "LineSpec",
    "Location",
    "Manifest",
    "Origin",
    "OriginFile",
    "Part",
    "PartWriter",
    "Refusal",
    "ShardInfo",
    "StoredFile",
    "Verified",
    "Waiting",
    "arrival_names",
    "begun_with",
    "change_task",
    "check_arrival_name",
    "check_free",
    "check_root_usable",
    "check_weights",
    "create_line",
    "discard_parts",
    "drift_path",
    "find_garbage",
    "find_manifest",
    "find_manifests",
    "find_parts",
    "find_waiting",
    "finish_interrupted_promotion",
    "finish_removal",
    "forget_parts",
    "forget_waiting",
    "index_part",
    "is_half_withdrawn",
    "keep_part",
    "kept_index",
    "line_lease",
    "list_arrivals",
    "list_drift",
    "list_versions",
    "make_index",
    "mark_waiting",
    "next_version",
    "note_begun",
    "open_head",
    "open_line",
    "part_plans",
    "promote",
    "publish_recorded",
    "published_from",
    "publishing_lease",
    "reachable",
    "read_approval",
    "read_card",
    "read_drift",
    "read_head",
    "read_index",
    "read_labels",
    "read_refusal",
    "read_shard",
    "read_tensors",
    "read_waiting",
    "remove_arrival",
    "remove_drift",
    "remove_garbage",
    "remove_version",
    "require_conditional_writes",
    "rollback",
    "sample_digest",
    "verify_arrival",
    "version_number",
    "version_to_make",
    "waiting_version",
    "withdrawn_since",
    "write_approval",
    "write_drift",
    "write_refusal",
    "write_version",
]
