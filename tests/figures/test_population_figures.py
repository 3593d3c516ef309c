import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.populations import mode_histogram, particle_weights, payoff_matrix
from mixnash.figures.style import DIVERGING, GREY, particle_colours


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def weights(count: int) -> torch.Tensor:
    return torch.softmax(draw(count), 0)


def cell_centres(figure, pixels, shape) -> np.ndarray:
    """Colours [K, L, 3] next to the centres of the cells, beside their numbers."""
    box = figure.axes[0].get_window_extent()
    rows = pixels.shape[0] - box.y1 + box.height * (np.arange(shape[0]) + 0.15) / shape[0]
    columns = box.x0 + box.width * (np.arange(shape[1]) + 0.5) / shape[1]
    return pixels[rows.astype(int)[:, None], columns.astype(int)]


@pytest.mark.parametrize("shape", [(1, 1), (25, 1), (1, 12), (40, 5), (64, 64), (4, 6)])
def test_payoffs_of_any_shape_are_drawn_row_by_row_in_the_diverging_colours(shape):
    values = draw(*shape)
    before = values.clone()
    figure = payoff_matrix(values, weights(shape[0]), weights(shape[1]), "Payoffs")
    seen = cell_centres(figure, drawn(figure), shape)
    bound = values.abs().max()
    expected = 255 * DIVERGING(((values / bound + 1) / 2).numpy())[..., :3]
    np.testing.assert_allclose(seen, expected, atol=6)
    assert torch.equal(values, before)


def test_payoff_matrix_states_the_value_of_the_mixture():
    figure = payoff_matrix(np.array([[1.0, -2.0], [4.0, 0.5]]), np.array([0.25, 0.75]), np.array([0.9, 0.1]), "")
    assert "value of the mixture: 2.913" in texts(figure)  # 0.225 - 0.05 + 2.7 + 0.0375 = 2.9125
    assert {"1", "\N{MINUS SIGN}2", "4", "0.5"} <= set(texts(figure))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_payoffs_that_are_not_finite_are_grey_and_leave_no_value(bad):
    values = np.array([[1.0, bad], [bad, -3.0]])
    figure = payoff_matrix(values, np.array([0.25, 0.75]), np.array([0.9, 0.1]), "Holes")
    seen = cell_centres(figure, drawn(figure), (2, 2))
    grey = [int(GREY[k : k + 2], 16) for k in (1, 3, 5)]
    np.testing.assert_allclose(seen[0, 1], grey, atol=2)
    np.testing.assert_allclose(seen[1, 0], grey, atol=2)
    assert "value of the mixture: not finite" in texts(figure)


def test_payoffs_never_played_do_not_spoil_the_value():
    figure = payoff_matrix(np.array([[1.5, np.nan]]), np.array([1.0]), np.array([1.0, 0.0]), "")
    assert "value of the mixture: 1.5" in texts(figure)


@pytest.mark.parametrize("fill", [0.0, 3.0, np.nan])
def test_constant_payoffs_are_drawn(fill):
    drawn(payoff_matrix(np.full((3, 2), fill), weights(3), weights(2), "Constant"))


@pytest.mark.parametrize(("generators", "critics"), [(1, 1), (25, 5), (64, 1), (1, 64), (3, 200)])
def test_weights_are_bars_in_the_colours_of_the_particles_beside_the_uniform_level(generators, critics):
    p, q = weights(generators), weights(critics)
    figure = particle_weights(p, q, "Weights")
    drawn(figure)
    left, right = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in left.patches], p, rtol=1e-6)
    np.testing.assert_allclose([bar.get_height() for bar in right.patches], q, rtol=1e-6)
    np.testing.assert_allclose([bar.get_facecolor()[:3] for bar in left.patches], particle_colours(generators))
    assert left.lines[0].get_ydata()[0] == pytest.approx(1 / generators)
    assert right.lines[0].get_ydata()[0] == pytest.approx(1 / critics)


def test_effective_sizes_are_stated():
    figure = particle_weights(np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.1]), "Weights")
    assert figure.axes[0].get_title(loc="left") == "effective size 2.63 of 3"  # 1 / 0.38
    assert figure.axes[1].get_title(loc="left") == "effective size 1.22 of 2"  # 1 / 0.82


def test_histogram_marks_modes_beyond_two_multinomial_standard_deviations():
    # e = (40, 60), n = 100: sd = sqrt(24) = 4.899 for both, so 2 sd = 9.798. A Poisson band would be wider: 12.6, 15.5.
    figure = mode_histogram(np.array([49, 70]), np.array([40.0, 60.0]), "Modes")
    drawn(figure)
    bars = [bar.get_height() for bar in figure.axes[0].patches if bar.get_label() == "_nolegend_"]
    assert bars[:4] == [49, 0, 0, 70], "first those within, then those beyond"
    assert "1 of 2 modes within 2 sd, 119 samples in modes" in texts(figure)


@pytest.mark.parametrize("count", [1, 25, 1000])
def test_histograms_of_few_and_many_modes_are_drawn(count):
    found = torch.randint(0, 50, (count,), generator=torch.Generator().manual_seed(2))
    drawn(mode_histogram(found, torch.full((count,), 25.0), "Modes"))


def test_histogram_without_samples_is_drawn():
    figure = mode_histogram(torch.zeros(3), torch.zeros(3), "Nothing")
    drawn(figure)
    assert "no sample in any mode" in texts(figure)


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    values = draw(4, 3)
    with pytest.raises(InvalidInputError, match=r"payoffs of shape \[K, L\], found \[4\]"):
        payoff_matrix(values[:, 0], weights(4), weights(3), "")
    with pytest.raises(InvalidInputError, match=r"weights of generators of shape \[4\], found \[3\]"):
        payoff_matrix(values, weights(3), weights(3), "")
    with pytest.raises(InvalidInputError, match="weights of critics to be probabilities"):
        payoff_matrix(values, weights(4), weights(3) * 2, "")
    with pytest.raises(InvalidInputError, match="weights of generators to be probabilities that sum to 1, found 0"):
        payoff_matrix(values[:0], weights(4)[:0], weights(3), "")
    with pytest.raises(InvalidInputError, match=r"weights of critics of shape \[L\], found \[4, 3\]"):
        particle_weights(weights(4), values, "")
    with pytest.raises(InvalidInputError, match="at least one entry in samples of modes"):
        mode_histogram(torch.zeros(0), torch.zeros(0), "")
    with pytest.raises(InvalidInputError, match=r"expected samples of modes of shape \[4\], found \[3\]"):
        mode_histogram(torch.zeros(4), torch.zeros(3), "")
