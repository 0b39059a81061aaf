"""Column: numbers in a numpy array that grows by doubling, so that adding one costs one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Column:
    """Numbers of one type in the order in which they were added.

    Args:
        dtype: of numpy.
        width: numbers in a row; 0 for a plain column.
    """

    __slots__ = ("_array", "_used")

    def __init__(self, dtype: str, width: int = 0) -> None:
        import numpy as np

        self._array: np.ndarray = np.zeros((16, width) if width else 16, dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> np.ndarray:
        """What was added, shape (len, ) or (len, width): a view, good until something is added."""
        return self._array[: self._used]

    def append(self, value: Any) -> None:
        """Add a number or a row."""
        self.extend(1)
        self._array[self._used - 1] = value

    def extend(self, count: int) -> None:
        """Add zeros."""
        import numpy as np

        if self._used + count > len(self._array):
            longer = np.zeros_like(self._array, shape=self._larger(count))
            longer[: self._used] = self.values
            self._array = longer
        self._used += count

    def truncate(self, count: int) -> None:
        """Keep the first ones."""
        self._array[count : self._used] = 0
        self._used = min(self._used, count)

    def _larger(self, count: int) -> tuple[int, ...]:
        return (max(2 * len(self._array), self._used + count), *self._array.shape[1:])
