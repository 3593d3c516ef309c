"""Games against payoffs computed by hand, and known equilibria of vector and matrix games."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.domains import Simplex
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.constraints import GradientPenalty, Unconstrained
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.types import BOTH, Batch, Player, Profile
from plugins import ADVERSARIAL_GAMES, make
from problems import (
    DOUBLE,
    MATRIX_GAMES,
    matrix_gap,
    normal,
    vector_batch,
    vector_oracle,
    vectors,
)

# Scores of three real and two generated samples; with the identity as generator and critic these are the samples.
REAL, FAKE = torch.tensor([0.5, -1.0, 3.0], dtype=DOUBLE), torch.tensor([2.0, -3.0], dtype=DOUBLE)


class Identity:
    """A critic whose scores are its samples."""

    def __call__(self, samples):
        return samples

    def input_gradient(self, samples):
        return torch.ones_like(samples)


def terms(game, real=REAL, fake=FAKE):
    return game.terms(lambda latent: latent, Identity(), Batch(real, fake, fake, fake))


def softplus(x):
    return math.log1p(math.exp(x))


HAND = [
    # (2.5 / 3) - (-1 / 2); generator -(-1 / 2)
    (Wasserstein(Unconstrained()), 5 / 6 + 1 / 2, 1 / 2),
    # real hinges 0.5, 2, 0; generated hinges 3, 0
    (Hinge(), -(0.5 + 2 + 0) / 3 - (3 + 0) / 2, 1 / 2),
    (
        NonSaturating(),
        -(softplus(-0.5) + softplus(1) + softplus(-3)) / 3 - (softplus(2) + softplus(-3)) / 2,
        (softplus(-2) + softplus(3)) / 2,
    ),
]


@pytest.mark.parametrize(("game", "value", "generator_loss"), HAND, ids=["Wasserstein", "Hinge", "NonSaturating"])
def test_a_gan_has_the_value_computed_by_hand(game, value, generator_loss):
    got = terms(game)
    assert float(got.value) == pytest.approx(value, abs=1e-12)
    assert float(got.critic_loss) == pytest.approx(-value, abs=1e-12)
    assert float(got.generator_loss) == pytest.approx(generator_loss, abs=1e-12)


def test_all_pairs_at_once_reduce_over_samples_only():
    real, fake = normal(4, 1, 7), normal(4, 3, 5, key=1)  # [L, 1, B] and [L, K, b]
    for game in (make(ADVERSARIAL_GAMES, kind, Unconstrained()) for kind in ADVERSARIAL_GAMES):
        together = terms(game, real, fake)
        for l, k in itertools.product(range(4), range(3)):  # noqa: E741
            torch.testing.assert_close([one[l, k] for one in together], list(terms(game, real[l, 0], fake[l, k])))


def test_the_best_critic_of_the_original_gan_measures_the_jensen_shannon_divergence():
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=DOUBLE), torch.tensor([0.1, 0.2, 0.7], dtype=DOUBLE)
    best = (p / q).log()  # the critic's logit at the three points
    points = torch.arange(3)
    counts_p, counts_q = (10 * p).round().long(), (10 * q).round().long()
    value = terms(
        NonSaturating(), best[points.repeat_interleave(counts_p)], best[points.repeat_interleave(counts_q)]
    ).value
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    assert float(value) == pytest.approx(2 * float(divergence) - 2 * math.log(2), abs=1e-12)


def test_the_original_gan_stays_finite_at_extreme_scores():
    scores = torch.tensor([-1e4, 1e4], requires_grad=True)
    got = terms(NonSaturating(), scores, scores)
    (got.value + got.generator_loss).backward()
    assert bool(torch.isfinite(torch.stack([got.value, got.generator_loss])).all())
    assert bool(torch.isfinite(scores.grad).all())


@pytest.mark.parametrize("kind", [Hinge, NonSaturating])
def test_a_gan_without_a_constraint_leaves_the_critic_free(kind):
    assert isinstance(kind().constraint, Unconstrained)
    constraint = GradientPenalty(2.0)
    assert kind(constraint).constraint is constraint


# ---------------------------------------------------------------------- bilinear

M, A, B = [[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]], [0.7, -0.4], [0.2, 1.5, -0.6]


def bilinear(x, y):
    profile = Profile(vectors(*x), vectors(*y))
    oracle = vector_oracle(Bilinear(M, A, B), len(x), 2)
    return oracle.feedback(profile, BOTH)


def test_bilinear_payoff_is_the_one_written_in_its_docstring():
    x, y = [[1.0, 2.0], [-0.5, 0.25]], [[0.1, -1.0, 2.0], [3.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    values = bilinear(x, y).values
    for k, l in itertools.product(range(2), range(3)):  # noqa: E741
        by_hand = sum(
            (x[k][i] - A[i]) * M[i][j] * y[l][j] - x[k][i] * M[i][j] * B[j] for i in range(2) for j in range(3)
        )
        assert float(values[k, l]) == pytest.approx(by_hand, abs=1e-12)


def test_bilinear_equilibrium_has_its_value_and_no_gradient():
    seen = bilinear([A], [B])
    value = -sum(A[i] * M[i][j] * B[j] for i in range(2) for j in range(3))
    assert float(seen.values) == pytest.approx(value, abs=1e-12)
    assert float(seen.generator_grads[VECTOR].abs().max()) < 1e-12
    assert float(seen.critic_grads[VECTOR].abs().max()) < 1e-12


def test_bilinear_gradients_are_linear_in_the_opponents_deviation():
    matrix, x, y = torch.tensor(M, dtype=DOUBLE), normal(2), normal(3, key=1)
    seen = bilinear([x.tolist()], [y.tolist()])
    torch.testing.assert_close(seen.generator_grads[VECTOR][0], matrix @ (y - torch.tensor(B, dtype=DOUBLE)))
    torch.testing.assert_close(seen.critic_grads[VECTOR][0], -matrix.T @ (x - torch.tensor(A, dtype=DOUBLE)))


def test_bilinear_is_centred_at_zero_unless_told():
    seen = vector_oracle(Bilinear([[2.0]])).feedback(Profile(vectors([3.0]), vectors([-5.0])), BOTH)
    assert float(seen.values) == -30.0


@pytest.mark.parametrize("matrix", [[], [[]], [[1.0], [1.0, 2.0]]])
def test_bilinear_refuses_what_is_no_matrix(matrix):
    with pytest.raises(InvalidInputError, match="matrix of a bilinear game needs rows of one positive length"):
        Bilinear(matrix)


def test_bilinear_refuses_numbers_that_are_not_finite():
    with pytest.raises(InvalidInputError, match="matrix and the equilibrium of a bilinear game must be finite"):
        Bilinear([[1.0, float("nan")]])


def test_bilinear_refuses_an_equilibrium_of_other_lengths():
    with pytest.raises(
        InvalidInputError, match="equilibrium of a 2 x 3 bilinear game needs vectors of these lengths, found 3 and 3"
    ):
        Bilinear(M, [1.0, 2.0, 3.0], B)


# ---------------------------------------------------------------------- matrix games


@pytest.mark.parametrize("known", MATRIX_GAMES.values(), ids=MATRIX_GAMES)
def test_pure_strategies_of_a_matrix_game_have_its_payoff_and_its_known_value(known):
    game = Matrix(known.payoff)
    row, column = game.pure_strategies(Player.GENERATOR), game.pure_strategies(Player.CRITIC)
    profile = Profile(
        row._replace(log_weights=torch.tensor(known.row, dtype=DOUBLE).log()),
        column._replace(log_weights=torch.tensor(known.column, dtype=DOUBLE).log()),
    )
    seen = vector_oracle(game, len(known.row), len(known.row)).feedback(profile, BOTH)
    torch.testing.assert_close(seen.values, torch.tensor(known.payoff, dtype=DOUBLE))
    # Every pure strategy in the support of an equilibrium is a best answer: here all of them.
    torch.testing.assert_close(
        seen.generator_losses, torch.full_like(seen.generator_losses, known.value), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        seen.critic_losses, torch.full_like(seen.critic_losses, -known.value), atol=1e-12, rtol=0
    )
    assert abs(matrix_gap(seen.generator_losses, seen.critic_losses)) < 1e-12


def test_an_equilibrium_may_leave_strategies_out():
    # The 5 x 5 Gaussian game of numpy's default_rng(0): rows 2, 3 and columns 1, 3 play.
    payoff = [
        [0.1257302210933933, -0.1321048632913019, 0.6404226504432821, 0.10490011715303971, -0.535669373161111],
        [0.36159505490948474, 1.3040000451301372, 0.9470809631292422, -0.7037352358069926, -1.2654214710460525],
        [-0.6232744625373522, 0.0413259793472436, -2.3250307746388343, -0.21879166393254573, -1.2459109472530652],
        [-0.7322673547034516, -0.5442589828573099, -0.31630015636915454, 0.4116305363741328, 1.0425133694426776],
        [-0.12853466294403426, 1.3664634705496859, -0.6651946734866135, 0.3515100700930197, 0.9034701816518086],
    ]
    row = [0.0, 0.0, 0.7860887243931948, 0.2139112756068052, 0.0]
    column = [0.0, 0.518436255757544, 0.0, 0.48156374424245596, 0.0]
    # As vectors of the simplex, with one particle each.
    seen = vector_oracle(Matrix(payoff), 1, 5).feedback(Profile(vectors(row), vectors(column)), BOTH)
    assert float(seen.values) == pytest.approx(-0.0839372468941, abs=1e-12)
    costs, gains = seen.generator_grads[VECTOR][0], -seen.critic_grads[VECTOR][0]
    assert float(gains.max() - costs.min()) == pytest.approx(0, abs=1e-12)


def test_pure_strategies_are_one_hot_and_equally_likely():
    game = Matrix([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    row, column = game.pure_strategies(Player.GENERATOR, torch.float32), game.pure_strategies(Player.CRITIC)
    assert torch.equal(row.params[VECTOR], torch.eye(2))
    assert torch.equal(column.params[VECTOR], torch.eye(3, dtype=DOUBLE))
    torch.testing.assert_close(column.log_weights.exp(), torch.full((3,), 1 / 3, dtype=DOUBLE))


@pytest.mark.parametrize("payoff", [[], [[]], [[1.0, 2.0], [1.0]]])
def test_a_matrix_game_refuses_what_is_no_matrix(payoff):
    with pytest.raises(InvalidInputError, match="payoff of a matrix game needs rows of one positive length"):
        Matrix(payoff)


def nearest_in_simplex(point):
    """By brute force over supports: on a support S the nearest point is x - (sum_S x - 1) / |S|."""
    best = None
    for size in range(1, len(point) + 1):
        for support in itertools.combinations(range(len(point)), size):
            shift = (sum(point[i] for i in support) - 1) / size
            candidate = [point[i] - shift if i in support else 0.0 for i in range(len(point))]
            distance = sum((a - b) ** 2 for a, b in zip(point, candidate, strict=True))
            if min(candidate) >= 0 and (best is None or distance < best[0]):
                best = distance, candidate
    return best[1]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5))
def test_projection_on_the_simplex_is_the_nearest_point(point):
    got = Simplex(len(point)).project(torch.tensor(point, dtype=DOUBLE))
    assert got.tolist() == pytest.approx(nearest_in_simplex(point), abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(-3, 3))
def test_projection_on_the_simplex_ignores_a_common_shift_and_keeps_points_inside(point, shift):
    got = Simplex(len(point)).project(torch.tensor(point, dtype=DOUBLE))
    assert float(got.sum()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(
        Simplex(len(point)).project(torch.tensor(point, dtype=DOUBLE) + shift), got, atol=1e-9, rtol=0
    )
    torch.testing.assert_close(Simplex(len(point)).project(got), got, atol=1e-12, rtol=0)


def test_projection_on_the_simplex_survives_a_huge_coordinate_in_single_precision():
    assert Simplex(3).project(torch.tensor([3e8, 0.0, 5.0])).tolist() == [1.0, 0.0, 0.0]


def test_a_matrix_game_projects_every_particle_of_both_players():
    points = {VECTOR: 2 * normal(4, 3)}
    for player in Player:
        projected = Matrix([[1.0]]).project(player, points)[VECTOR]
        for one, other in zip(points[VECTOR].tolist(), projected.tolist(), strict=True):
            assert other == pytest.approx(nearest_in_simplex(one), abs=1e-9)


def test_vector_games_ignore_how_many_latents_are_drawn():
    profile = Profile(vectors([1.0, 2.0]), vectors([0.5, -1.0]))
    one = vector_oracle(Bilinear([[1.0, 2.0], [3.0, 4.0]]), 1, 2)
    many = vector_oracle(Bilinear([[1.0, 2.0], [3.0, 4.0]]), 1, 2)
    many.oracle._batch = vector_batch(1, 2)._replace(latent=normal(1, 9, 1))
    torch.testing.assert_close(one.feedback(profile, BOTH), many.feedback(profile, BOTH))
