"""Which folders of a tree of images, or of texts, are classes, and which are splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from raygp.data.sources.naming import PLAIN_WORDS, says_split, split_of, words_of
from raygp.data.sources.source import PassedOver, SplitName
from raygp.data.sources.walk import Parts, shown
from raygp.errors import InputError

_LAYOUT = "expected one folder of {}s for each class, or such folders in train, val and test"

_UNLABELLED = frozenset({"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"})
"""Words of folders of images without labels, as contests have them beside the others."""
_PORTIONS = frozenset({"extra", "fold", "part", "split", "subset", "batch", "chunk", "shard", "week", "day"})
"""Words of folders that are a portion of the data, and no class, where class folders lie in them."""
_DATE = re.compile(r"(?:19|20)\d\d(?:[-_. ]?(?:w?\d\d|q\d)(?:[-_. ]?\d\d)?)?", re.IGNORECASE)
"""Names of folders that are a portion, too, where class folders lie in them: ``2024``, ``2024-05``, ``2024w12``."""
_CLASS_NOUNS = frozenset({"train", "training", "valid"})
"""Words for a split that classes are called, too."""
_OF_SPLITS = frozenset({"seg", "my", "our", "all", "full", "final", "public", "private", "official", "unseen"})
"""Words that make no class of a split's name, as those beside "test" in ``test_tube`` and ``crash_test`` do."""
_WITHOUT_LABELS = frozenset({"unsup", "unsupervised", "unlabeled", "unlabelled"})
"""What a folder beside those of classes is called that holds samples of none."""
_SHOWN = 5
Load = Callable[[], bytes]
"""Reads an encoded sample."""


@dataclass(eq=False)
class Tree:
    """A folder, the samples in it (images, say) and the folders in it."""

    name: str
    path: str = ""
    """Relative to the source, with ``/`` between its parts."""
    samples: list[tuple[str, Load]] = field(default_factory=list)
    """Name and content of each sample that lies directly in it."""
    folders: dict[str, Tree] = field(default_factory=dict)
    above: Tree | None = None
    count: int = 0
    """Samples in it, at any depth."""

    def add(self, name: str, content: Load) -> None:
        """Put a sample into it."""
        self.samples.append((name, content))
        folder: Tree | None = self
        while folder is not None:
            folder.count += 1
            folder = folder.above

    def at(self, parts: Parts) -> Tree:
        """The folder at a path below it, made where it is not there yet."""
        found = self
        for part in parts:
            if part not in found.folders:
                path = f"{found.path}/{part}" if found.path else part
                found.folders[part] = Tree(part, path, above=found)
            found = found.folders[part]
        return found

    @cached_property
    def full(self) -> list[Tree]:
        """The folders in it that hold samples at any depth, sorted by name. The tree must be whole by now."""
        return [folder for _, folder in sorted(self.folders.items()) if folder.count]

    @property
    def empty(self) -> list[Tree]:
        """The folders in it that hold no sample at any depth."""
        return [folder for _, folder in sorted(self.folders.items()) if not folder.count]

    @property
    def split(self) -> SplitName | None:
        """The split that its name says."""
        return split_of(self.name)

    @property
    def words(self) -> frozenset[str]:
        """Those words of its name that are not like "images"."""
        return frozenset(words_of(self.name)) - PLAIN_WORDS

    @property
    def split_words(self) -> frozenset[str]:
        """Those of its words that say its split."""
        return frozenset(filter(says_split, self.words)) if self.split else frozenset()

    @property
    def only_says_split(self) -> bool:
        """Whether its name says a split and nothing else: ``test``, ``Test-Images``, not ``test_tube``."""
        return self.split is not None and self.words - _OF_SPLITS == self.split_words

    @property
    def says_nothing(self) -> bool:
        """Whether its name is one like "images"."""
        return not self.words and bool(words_of(self.name))

    @property
    def inner(self) -> Tree:
        """Where the class folders of a split lie: in it, or in ``seg_train/seg_train``, ``train/images``."""
        folder = self
        while len(folder.full) == 1 and not folder.samples:
            (only,) = folder.full
            if not only.says_nothing and only.split != self.split:
                break
            folder = only
        return folder

    @property
    def is_split(self) -> bool:
        """Whether its name says a split and class folders lie in it."""
        return self.split is not None and bool(self.inner.full)

    def everything(self) -> Iterator[tuple[str, Load]]:
        """Path and content of each sample in it, at any depth."""
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            yield from ((f"{folder.path}/{name}" if folder.path else name, content) for name, content in folder.samples)
            waiting += folder.folders.values()


@dataclass(frozen=True)
class ClassFolder:
    """A folder whose samples, at any depth, are of one class."""

    split: SplitName | None
    label: str
    folder: Tree


def class_folders(
    where: str, tree: Tree, passed_over: PassedOver, one: str = "image"
) -> tuple[Tree, list[ClassFolder]]:
    """Read a tree: which folders are classes, and of which split.

    Args:
        where: the source's path, for messages.
        tree: all of it.
        passed_over: gets the folders and samples that belong to no class.
        one: what a sample is, for messages.

    Returns:
        The folder that the layout begins with, which may lie below the first one, and the folders of the classes.

    Raises:
        InputError: there are no class folders, or names leave it open what is a split and what a class.
    """
    return _Reading(where, passed_over, one).read(tree)


class _Reading:
    def __init__(self, where: str, passed_over: PassedOver, one: str) -> None:
        self._where, self._passed_over, self._one = where, passed_over, one
        self._a_one = f"{'an' if one[0] in 'aeiou' else 'a'} {one}"
        self._layout = _LAYOUT.format(one)
        self._loose: list[Tree] = []
        """Folders whose own samples are in no class folder."""

    def read(self, tree: Tree) -> tuple[Tree, list[ClassFolder]]:
        top = self._look_through(tree)
        split = any(folder.is_split for folder in top.full)
        tops = self._labelled(top.full, split)
        classes = self._in_splits(tops) if split else self._without_splits(top, tops)
        for found in classes:
            self._check_inside(found.folder)
        self._tell_loose(sum(found.folder.count for found in classes))
        return top, classes

    def _look_through(self, tree: Tree) -> Tree:
        """Where to begin: a folder that holds nothing but one folder of folders is looked through."""
        top = tree
        self._open(top)
        while len(top.full) == 1:
            (only,) = top.full
            splits_inside = bool(only.full) and all(folder.is_split for folder in only.full)
            is_class = (bool(only.samples) and not only.says_nothing) or _label(only) != only.name
            if not splits_inside and (not only.full or only.split or is_class):
                break
            top = only
            self._open(top)
        return top

    def _open(self, folder: Tree) -> None:
        """Look at a folder that is no class but holds some."""
        self._loose.append(folder)
        for empty in folder.empty:
            self._passed_over.add(f"folders without {self._a_one}", empty.path)

    def _labelled(self, tops: Sequence[Tree], split: bool) -> list[Tree]:
        """Without the folders of images that have no labels, as their names say; beside splits, one word will do."""
        bare = [
            folder
            for folder in tops
            if folder.words & _UNLABELLED and (split or folder.words <= _UNLABELLED) and not folder.inner.full
        ]
        for folder in bare:
            self._pass_over(f"{self._one}s without labels", folder)
        return [folder for folder in tops if folder not in bare]

    def _pass_over(self, what: str, folder: Tree) -> None:
        for name, _ in folder.everything():
            self._passed_over.add(what, name)

    def _without_splits(self, top: Tree, tops: list[Tree]) -> list[ClassFolder]:
        """Each folder is a class."""
        if not tops or (len(tops) == 1 and tops[0].says_nothing):
            raise self._no_class_folders(top)
        if all(folder.only_says_split for folder in tops):
            raise self._no_class_folders(top)
        self._check_names(tops)
        for folder in tops:
            self._check_class(folder, tops)
        return [ClassFolder(None, _label(folder), folder) for folder in tops]

    def _check_names(self, classes: Sequence[Tree]) -> None:
        """Refuse classes whose names look like splits; one may be called ``train``, or ``test_tube``."""
        splits = [folder for folder in classes if folder.split]
        named = [folder for folder in splits if folder.only_says_split]
        rest: dict[frozenset[str], Tree] = {}
        for folder in splits:
            # cat_train and cat_test.
            twin = rest.setdefault(folder.words - folder.split_words, folder)
            if twin.split != folder.split:
                raise self._mixed([twin, folder], [other for other in classes if other not in (twin, folder)])
        several = len({folder.split for folder in splits}) > 1
        odd = [folder for folder in named if several or not folder.split_words <= _CLASS_NOUNS]
        if odd:
            raise self._mixed(odd, [folder for folder in classes if folder not in odd])

    def _check_class(self, folder: Tree, tops: Sequence[Tree]) -> None:
        """Refuse a folder that looks as if it were no class but held some."""
        if folder.samples or not folder.full or len(tops) == 1:
            return
        if (words_of(folder.name) and folder.words <= _PORTIONS) or _DATE.fullmatch(folder.name):
            reason = "and its name says a part of the data rather than a class"
        elif len({other.name for other in tops}.intersection(inner.name for inner in folder.full)) > 1:
            reason = "of the same names as those beside it, so it may be a copy of all the data"
        else:
            return
        raise InputError(
            f"{self._where}: {folder.path} holds folders ({_names(folder.full)}), {reason}: move it away, or give it "
            "as a source of its own"
        )

    def _in_splits(self, tops: list[Tree]) -> list[ClassFolder]:
        """Each folder is a split, and the folders in it are the classes."""
        others = [folder for folder in tops if not folder.split]
        if others:
            raise self._mixed([folder for folder in tops if folder.split], others)
        found: list[ClassFolder] = []
        has = {folder.split for folder in tops if folder.is_split}
        for folder in tops:
            split = folder.split
            if split == "val" and folder.split_words == {"val"} and "train" in has and "test" not in has:
                split = "test"  # As ImageNet has it: what is published about it is about val.
            if folder.is_split:
                self._open(folder.inner)
                if all(one.only_says_split for one in folder.inner.full):
                    raise self._mixed([folder], folder.inner.full)
                if len(folder.inner.full) == 1 and folder.inner.full[0].says_nothing:
                    raise self._unlabelled(folder, "train" in has)
                self._check_names(folder.inner.full)
                bare = [one for one in folder.inner.full if one.words and one.words <= _WITHOUT_LABELS]
                for one in bare:
                    self._pass_over(f"{self._one}s without labels", one)
                found += [ClassFolder(split, _label(one), one) for one in folder.inner.full if one not in bare]
            elif folder.split == "test":
                self._pass_over(f"{self._one}s for testing that are in no class folder", folder)
            else:
                raise self._unlabelled(folder, "train" in has)
        return found

    def _unlabelled(self, folder: Tree, trained: bool) -> InputError:
        """Images to train or to validate on whose class no folder says."""
        inner = folder.inner
        if trained and inner is not folder and inner.says_nothing:
            problem = f"{folder.path} has a class '{inner.name}' that train lacks; rename or remove it"
        else:
            problem = f"{folder.path} holds {self._count(folder.count)} in no class folder; {self._layout}"
        return InputError(f"{self._where}: {problem}")

    def _check_inside(self, folder: Tree) -> None:
        """Refuse a class whose images are divided into splits below it: they would not be what they say."""
        waiting = [folder]
        while waiting:
            one = waiting.pop()
            if one.full and all(inner.only_says_split for inner in one.full):
                raise InputError(
                    f"{self._where}: {one.path} would be of class '{_label(folder)}', but holds {_names(one.full)}: "
                    f"splits belong above the class folders, as in train/{folder.name}"
                )
            waiting += one.full

    def _tell_loose(self, in_classes: int) -> None:
        """Say which images are in no class folder, or refuse if they are most of them."""
        loose = [(f"{folder.path}/{name}".lstrip("/")) for folder in self._loose for name, _ in folder.samples]
        if len(loose) > in_classes:
            raise InputError(
                f"{self._where}: {self._count(len(loose))} in no class folder, such as {shown(loose[0])}, but only "
                f"{in_classes:,} in class folders; {self._layout}"
            )
        for name in loose:
            self._passed_over.add(f"{self._one}s in no class folder", name)

    def _no_class_folders(self, top: Tree) -> InputError:
        if top.count or not top.folders:
            return InputError(f"{self._where} holds no class folders; {self._layout}")
        lines = f" ({'; '.join(self._passed_over.lines)})" if self._passed_over.lines else ""
        return InputError(f"{self._where} holds folders without a single {self._one}{lines}; {self._layout}")

    def _count(self, count: int) -> str:
        return f"{count:,} {self._one}{'' if count == 1 else 's'}"

    def _mixed(self, splits: Sequence[Tree], others: Sequence[Tree]) -> InputError:
        beside = f" beside {_names(others)}" if others else ""
        return InputError(
            f"{self._where}: {_names(splits)}{beside}: which of these are splits, which are classes? Where there are "
            f"splits, every folder of {self._one}s must be called after one (train, val or test): rename or move the "
            "others"
        )


def _label(folder: Tree) -> str:
    """The class that a folder's name says; in ``label=cat`` it is what follows."""
    key, equals, value = folder.name.partition("=")
    return value if equals and value and key.lower() in ("label", "class") else folder.name


def _names(folders: Sequence[Tree]) -> str:
    more = ", ..." if len(folders) > _SHOWN else ""
    return ", ".join(f"'{shown(folder.path)}'" for folder in folders[:_SHOWN]) + more
