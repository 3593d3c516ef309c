"""Rule states across births: a new particle goes on with the memory of the one it descends from."""

from typing import Any, TypeVar

from jaxtyping import Int
from torch import Tensor

from mixnash.core.dynamics.base import DynamicsState
from mixnash.core.rules.base import PlayerState
from mixnash.core.tree import Leaf, map_leaves

State = TypeVar("State")


def inherit(state: State, generators: Int[Tensor, " K"], critics: Int[Tensor, " L"]) -> State:
    """The state of any dynamics with the memories of its rules, such as Adam's moments, handed on.

    Rules act element by element, so whatever a rule remembers of its particles has their leading axis. The players
    are found wherever they are in the state, also inside wrappers; their populations and all that is not a rule's stay
    as they are.

    Args:
        state: of a dynamics, one game at a time.
        generators: for each generator the one whose memory it gets; its own number for those that live on.
        critics: the same for the critics.
    """

    def visit(tree: Any) -> Any:
        if isinstance(tree, DynamicsState):
            return DynamicsState(_handed_on(tree.generators, generators), _handed_on(tree.critics, critics))
        if isinstance(tree, Tensor | int | dict):
            return tree
        children = [visit(child) for child in tree]
        return tuple(children) if type(tree) is tuple else type(tree)(*children)

    heirs: State = visit(state)
    return heirs


def _handed_on(player: PlayerState, parents: Tensor) -> PlayerState:
    def choose(path: str, leaf: Leaf) -> Leaf:
        del path
        if isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == len(parents):
            return leaf.index_select(0, parents)
        return leaf

    return player._replace(position=map_leaves(choose, player.position), weights=map_leaves(choose, player.weights))
