"""What training and evaluation read: samples by index, from a folder or from a MindRecord, always in order of names."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from erfnet_jobs.erfnet.cityscapes import Pair
from erfnet_jobs.erfnet.pictures import Pixels, check_same_size, load_image, load_label


@dataclass(frozen=True)
class Sample:
    """An image (uint8 H x W x 3, RGB), its label (uint8 H x W, train ids 0 to 19), both as large as found, its name."""

    image: Pixels
    label: Pixels
    name: str


class Source(Sequence[Sample]):
    """Samples by index; reading one may raise BadData. `dataset_hash` names the content, whatever form it has."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all samples, in order."""

    @property
    @abstractmethod
    def dataset_hash(self) -> str:
        """The hash of what the samples were made from (`data_hash.dataset_hash`)."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """The sample at an index from 0."""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self.read(position) for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self.read(index % len(self))

    def __iter__(self) -> Iterator[Sample]:
        return (self.read(index) for index in range(len(self)))


def read_pair(pair: Pair) -> Sample:
    """Image and label of a pair; raises BadData where one is not what it should be, or their sizes differ."""
    image, label = load_image(pair.image), load_label(pair.label)
    check_same_size(image, label, str(pair.image))
    return Sample(image, label, pair.name)
