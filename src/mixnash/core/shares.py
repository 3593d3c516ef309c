"""Which of a player's particles a process owns."""

from typing import NamedTuple

from mixnash.core.errors import require


class Share(NamedTuple):
    """The particles `first` to `first + size - 1` of `total`."""

    first: int
    size: int
    total: int

    @property
    def cut(self) -> slice:
        """The own rows of something with a row per particle of the whole population."""
        return slice(self.first, self.first + self.size)


def share_of(total: int, parts: int, index: int) -> Share:
    """Part `index` of `parts` contiguous ones, the first of which are longer by one where they cannot be equal.

    Args:
        total: particles, at least as many as parts.
        parts: at least 1.
        index: from 0 to parts - 1.

    Raises:
        InvalidInputError: when a part would be empty or does not exist.
    """
    require(0 <= index < parts <= total, f"{total} particles cannot be shared out to part {index} of {parts}.")
    size, longer = divmod(total, parts)
    return Share(index * size + min(index, longer), size + (index < longer), total)
