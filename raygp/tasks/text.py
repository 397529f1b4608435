"""Text classification: the task of a small transformer encoder, which is built from its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from raygp.errors import InputError
from raygp.tasks.classes import ClassTask
from raygp.tasks.kind import PlanFields, TaskKind
from raygp.tasks.plaintext import text_of
from raygp.tasks.preprocessing import text_preprocessing
from raygp.tasks.spec import TaskSpec
from raygp.tasks.tokens import (
    SMALLEST_VOCABULARY,
    Tokens,
    compact,
    digest,
    read_tokenizer,
    tokens_of,
    train_tokenizer,
)
from raygp.tasks.transformer import PADDING, TextTransformer


class TextSpec(TaskSpec):
    """Settings of text classification: the tokenizer and the sizes of the transformer."""

    name: Literal["text"]
    """The task."""
    length: Annotated[int, Field(ge=2, le=4096)] = 128
    """Tokens of a text that the model sees: the first ones. Shorter texts are padded."""
    depth: Annotated[int, Field(ge=1, le=48)] = 2
    """Blocks of the transformer."""
    width: Annotated[int, Field(ge=8, le=4096)] = 128
    """Units of the transformer, and numbers that stand for a token."""
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    """Of attention; they divide the width."""
    token_drop: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Part of the tokens that is hidden at random while the model trains."""
    vocabulary: Annotated[int, Field(ge=SMALLEST_VOCABULARY, le=50_000)] = 2000
    """Most tokens of a tokenizer that is made from the first arrival's training texts."""
    tokenizer: str = ""
    """The tokenizer as JSON, such as the package ``tokenizers`` saves. A path of such a file may be given, and the file
    is read. Empty: one is made from the first arrival's training texts, and takes this place."""
    tokenizer_sha256: str = ""
    """SHA-256 of ``tokenizer``, which need not be given."""
    dense: tuple[str, ...] = ()
    """Names of parameters that are never pruned."""

    @model_validator(mode="before")
    @classmethod
    def _take_in_the_tokenizer(cls, values: Any) -> Any:
        given = values.get("tokenizer") if isinstance(values, dict) else None
        if not given or not isinstance(given, str | dict | Path):
            return values
        # The message must not repeat the tokenizer, as it would for the field: so all of it is done here.
        if isinstance(given, dict) or (isinstance(given, str) and given.lstrip().startswith("{")):
            try:
                content = compact(given)
            except ValueError as error:
                raise ValueError(f"the tokenizer {error}") from error
        else:
            content = read_tokenizer(str(given))
        told = values.get("tokenizer_sha256")
        if told and told != digest(content):
            raise ValueError("the tokenizer is not the one that its SHA-256 tells of: it was changed or is damaged")
        return {**values, "tokenizer": content, "tokenizer_sha256": digest(content)}

    @model_validator(mode="after")
    def _fields_agree(self) -> TextSpec:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.tokenizer:
            try:
                tokens_of(self.tokenizer)
            except ValueError as error:
                raise ValueError(f"the tokenizer {error}") from error
        return self


@dataclass(frozen=True)
class TextTask(ClassTask):
    """Implements :class:`raygp.tasks.protocol.Task`; see there for what each member means.

    A sample is a text in UTF-8, a label is a class. Id 0 is padding, and a token's id is one more than its tokenizer's.
    """

    spec: TextSpec
    """What the task was made from; :attr:`texts` is what of it speaks of texts."""
    classifier: str = "classifier"
    density_bounds: Mapping[str, tuple[float, float]] = field(default_factory=lambda: {"classifier.weight": (0.3, 1.0)})
    sequences: bool = False
    labels_are_classes: bool = True
    reserved: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    medium: ClassVar[str] = "text"
    """What its samples are: by this, files in a folder are told from what lies beside them."""

    @property
    def name(self) -> str:
        """The task's name, from its spec."""
        return self.spec.name

    @property
    def texts(self) -> TextSpec:
        """The tokenizer and the sizes of the transformer."""
        return self.spec

    @property
    def dense(self) -> tuple[str, ...]:
        """Parameters that are never pruned, from the spec."""
        return self.spec.dense

    @property
    def draws(self) -> int:
        """How many uniform numbers hiding takes for a text: one for each token."""
        return self.texts.length if self.texts.token_drop else 0

    @property
    def tokens(self) -> Tokens:
        """The tokenizer.

        Raises:
            InputError: there is none yet.
        """
        if not self.texts.tokenizer:
            raise InputError("the task has no tokenizer yet: give one, or ingest texts, from which one is made")
        return tokens_of(self.texts.tokenizer)

    def build_model(self, num_classes: int) -> nn.Module:
        """The dense model, freshly initialised from torch's global generator; outputs logits, N x ``num_classes``."""
        spec = self.texts
        size = self.tokens.size if spec.tokenizer else spec.vocabulary
        return TextTransformer(size, spec.length, spec.width, spec.depth, spec.heads, num_classes)

    def decode(self, sample: bytes) -> np.ndarray:
        """Ids of a text's first tokens, int64, shape (``texts.length``,); 0 behind the last one.

        Raises:
            ValueError: it is no text, or has no token; the message is the reason alone.
        """
        return self._padded(self._ids(sample))

    def check(self, sample: bytes, label: str) -> str | None:
        """Refuse what :meth:`decode` refuses.

        Returns:
            That the text is longer than what the model sees; None if all of it is seen.
        """
        count = len(self._ids(sample))
        if count <= self.texts.length:
            return None
        return f"it has {count:,} tokens, and the model sees the first {self.texts.length:,}"

    def _ids(self, sample: bytes) -> list[int]:
        ids = self.tokens.ids(text_of(sample))
        if not ids:
            raise ValueError("the tokenizer finds no token in it")
        return ids

    def _padded(self, ids: Sequence[int]) -> np.ndarray:
        found = np.full(self.texts.length, PADDING, dtype=np.int64)
        kept = np.array(ids[: self.texts.length], dtype=np.int64) + 1
        found[: len(kept)] = kept
        return found

    def preprocessing(self) -> dict[str, Any]:
        """See :class:`raygp.tasks.preprocessing.Described`."""
        return text_preprocessing(self.texts.length)

    def preprocessing_files(self) -> dict[str, str]:
        """The tokenizer, by the name that :meth:`preprocessing` calls it."""
        return {self.preprocessing()["tokenizer"]: self.texts.tokenizer}

    def prepare(self, inputs: Tensor, draws: Tensor | None) -> Tensor:
        """The ids as they are; where ``draws`` are given, some become padding, but never the first.

        Args:
            inputs: int64, N x ``texts.length``.
            draws: uniform numbers in [0, 1), N x ``self.draws``, on the device of ``inputs``.
        """
        ids = inputs.long()
        if draws is None or not self.draws:
            return ids
        hidden = draws < self.texts.token_drop
        hidden[:, 0] = False
        return ids.masked_fill(hidden, PADDING)


def fit_tokenizer(spec: TextSpec, samples: Iterable[tuple[bytes, str]]) -> TextSpec:
    """The spec with a tokenizer made from training texts; as it is if it has one.

    Args:
        spec: of the line that is to be made.
        samples: encoded texts and their labels. What cannot be read is left out here: ingest says so.

    Raises:
        InputError: there is no text among them.
    """
    if spec.tokenizer:
        return spec
    found = 0

    def texts() -> Iterable[str]:
        nonlocal found
        for sample, _ in samples:
            try:
                text = text_of(sample)
            except ValueError:
                continue
            found += 1
            yield text

    content = train_tokenizer(texts(), spec.vocabulary)
    if not found:
        raise InputError("no training text can be read, so no tokenizer can be made from them")
    return TextSpec.model_validate({**spec.model_dump(), "tokenizer": content, "tokenizer_sha256": ""})


_SETTINGS: PlanFields = {
    "lr": 0.001,
    "batch_size": 32,
    "clip_norm": 1.0,
    "density": 0.2,
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
}

TEXT = TaskKind(
    TextSpec,
    TextTask,
    _SETTINGS,
    {"default": {"synthesis": {"epochs": 8, "seed_density": 0.5}}},
    fit=fit_tokenizer,
    fitted=("tokenizer",),
)
"""A transformer encoder of :class:`TextSpec`'s sizes, with a mean over its tokens."""
