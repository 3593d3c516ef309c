"""How far the domains of games on the line reach."""

from mixnash.core.domains import AbstractDomain, Euclidean, Torus

_ALONE = 0.5  # beside a domain of a single point


def extent(domain: AbstractDomain) -> tuple[float, float] | None:
    """The ends of a bounded domain of one axis; None of the whole line."""
    if isinstance(domain, Euclidean):
        return None
    if isinstance(domain, Torus):  # its grids leave out the repeated end
        return 0.0, 1.0
    ends = domain.grid(2)
    low, high = float(ends.min()), float(ends.max())
    return (low, high) if low < high else (low - _ALONE, high + _ALONE)
