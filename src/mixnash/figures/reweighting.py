"""The weights of a mixture before and after they were solved for."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from mixnash.core.errors import require
from mixnash.figures.arrays import Array, probabilities
from mixnash.figures.style import ACCENT, INK, TICK_SIZE, dress, index_ticks, new_figure, value_ticks


def weights_before_and_after(before: Float[Array, " K"], after: Float[Array, " K"], title: str) -> Figure:
    """One bar per particle with its new weight, and a line at its old one.

    Args:
        before: probabilities [K].
        after: probabilities [K].
        title: the figure's title.

    Raises:
        InvalidInputError: when the weights are no probabilities, or not equally many.
    """
    old, new = probabilities(before, "weights before", "K"), probabilities(after, "weights after", "K")
    require(len(old) == len(new), f"Every particle needs two weights, found {len(old)} before and {len(new)} after.")
    figure = new_figure(7.2, 3.2, title)
    axes = figure.subplots()
    places = np.arange(len(new))
    axes.bar(places, new, width=0.8 if len(new) <= 100 else 1.0, color=ACCENT, label="after")
    axes.hlines(old, places - 0.45, places + 0.45, color=INK, linewidth=1.4, label="before")
    axes.set(xlim=(-0.6, len(new) - 0.4), ylim=(0, 1.1 * max(float(old.max()), float(new.max()))))
    axes.xaxis.set_major_locator(index_ticks(len(new), 26))
    axes.yaxis.set_major_locator(value_ticks(5))
    sizes = [1 / float((weights**2).sum()) for weights in (old, new)]
    dress(axes, "generator", "weight", f"effective size {sizes[0]:.3g} before, {sizes[1]:.3g} after, of {len(new)}")
    figure.legend(loc="outside right upper", frameon=False, fontsize=TICK_SIZE, labelcolor=INK)
    return figure
