"""The one door to data: a split of a Cityscapes-layout folder, or a MindRecord, as samples by index."""

from functools import cached_property
from pathlib import Path

from erfnet_jobs.erfnet.cityscapes import Pair, find_images, find_pairs, is_cityscapes
from erfnet_jobs.erfnet.data_hash import hash_of_pairs
from erfnet_jobs.erfnet.pictures import load_image, load_label
from erfnet_jobs.erfnet.record_rows import Rows, check_subset, is_mindrecord, open_mindrecord
from erfnet_jobs.erfnet.samples import Sample, Source, read_pair

__all__ = [
    "FolderSource",
    "Pair",
    "Sample",
    "Source",
    "find_images",
    "find_pairs",
    "is_cityscapes",
    "load_image",
    "load_label",
    "open_source",
]


class FolderSource(Source):
    """Samples of a split in Cityscapes' layout, read when asked for."""

    def __init__(self, root: Path, split: str, cache_dir: Path | None = None) -> None:
        self._root = root
        self._pairs = find_pairs(root, split)
        self._cache_dir = cache_dir

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The files behind the samples, in order."""
        return self._pairs

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all samples, in order."""
        return tuple(pair.name for pair in self._pairs)

    @cached_property
    def dataset_hash(self) -> str:
        """The hash of the split's files, made when first asked for."""
        return hash_of_pairs(self._root, self._pairs, self._cache_dir)

    def read(self, index: int) -> Sample:
        """The sample at an index from 0; raises BadData."""
        return read_pair(self._pairs[index])


def open_source(path: Path, split: str, cache_dir: Path | None = None) -> Source:
    """The samples of `split`, sorted by name: `path` is a dataset folder or a MindRecord.

    `cache_dir` (Settings.data_dir, Plan.data_dir) keeps content hashes of folders. Raises BadData where there is no
    such data, it is unpaired, or a MindRecord holds another split.
    """
    if not is_mindrecord(path):
        return FolderSource(path, split, cache_dir)
    return Rows(check_subset(open_mindrecord(path), split))
