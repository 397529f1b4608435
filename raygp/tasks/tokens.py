"""From text to ids of tokens: tokenizers as the package ``tokenizers`` writes them, data without code.

That package is imported when a tokenizer is used: to read the settings of a task must cost little.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from raygp.errors import InputError, RaygpError

LARGEST = 1 << 20
"""Bytes of a tokenizer as compact JSON. It stands in the line's file and on every version's card."""
SMALLEST_VOCABULARY = 300
"""Tokens of a tokenizer that is trained: the 256 bytes are among them."""
_READ = 1000
"""Texts that are given to the trainer at once."""
_ENOUGH = 50_000_000
"""Characters to learn from: more change little, and take minutes."""


def compact(tokenizer: Any) -> str:
    """A tokenizer's JSON as a spec holds it.

    Args:
        tokenizer: JSON as text, or what was read from it.

    Raises:
        ValueError: it is no tokenizer, or too large; the message is the reason alone.
    """
    try:
        content = json.loads(tokenizer) if isinstance(tokenizer, str) else tokenizer
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise ValueError("is no tokenizer: expected the JSON that the package tokenizers saves, with a 'model' in it")
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    size = len(text.encode(errors="surrogatepass"))
    if size > LARGEST:
        raise ValueError(
            f"takes {size / 1e6:.1f} MB as JSON, and the most is {LARGEST / 1e6:.1f} MB: use one of fewer tokens"
        )
    return text


def read_tokenizer(path: str) -> str:
    """The content of a tokenizer file, in the form of :func:`compact`.

    Raises:
        ValueError: it cannot be read or is no tokenizer; the message names the file.
    """
    try:
        content = Path(path).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"the tokenizer file {path} cannot be read: {reason}") from error
    try:
        return compact(content)
    except ValueError as error:
        raise ValueError(f"the tokenizer file {path} {error}") from error


def digest(content: str) -> str:
    """SHA-256 of a tokenizer in the form of :func:`compact`, as hexadecimal digits."""
    return hashlib.sha256(content.encode()).hexdigest()


class Tokens:
    """A tokenizer that is ready for use.

    Args:
        content: in the form of :func:`compact`.

    Raises:
        ValueError: it cannot be used; the message is the reason alone.
        RaygpError: the package ``tokenizers`` is not installed.
    """

    def __init__(self, content: str) -> None:
        library = _library()
        try:
            self._tokenizer = library.Tokenizer.from_str(content)
        except Exception as error:  # The library raises plain exceptions.
            raise ValueError(f"cannot be used: {' '.join(str(error).split())}") from error
        # raygp cuts and pads by itself, and says what it cut.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise ValueError("holds no token")
        self.size = max(vocabulary.values()) + 1
        """Ids are smaller than this."""

    def ids(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return list(self._tokenizer.encode(text).ids)


@lru_cache(maxsize=8)
def tokens_of(content: str) -> Tokens:
    """The tokenizer with this content; kept, since to load one takes a while. Raises as :class:`Tokens` does."""
    return Tokens(content)


def train_tokenizer(texts: Iterable[str], size: int) -> str:
    """A tokenizer made from texts: byte-level byte-pair encoding, so that every text can be told, in whatever script.

    The same texts in the same order give the same tokenizer.

    Args:
        texts: to learn from: the first 50 million characters.
        size: most tokens that it has; of few texts it has fewer.

    Returns:
        The tokenizer in the form of :func:`compact`.

    Raises:
        InputError: it would be too large.
        RaygpError: the package ``tokenizers`` is not installed.
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(_in_batches(texts), trainer)
    try:
        return compact(tokenizer.to_str())
    except ValueError as error:
        raise InputError(f"the tokenizer made from the texts {error}") from error


def _in_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters > _ENOUGH:
            break
        if len(batch) == _READ:
            yield batch
            batch = []
    yield batch


def _library() -> Any:
    # Its threads write a warning to the terminal when this process forks later, as starting Ray does.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise RaygpError("texts need a package that is not installed: pip install 'raygp[text]'") from error
    return tokenizers
