"""Shared by all tests. Its place puts `tests/` on the path, so any test can `import problems`.

Test files need distinct names across folders: there are no packages here.
"""

import hypothesis
import jaxtyping
import pytest
import torch

hypothesis.settings.register_profile("fast", deadline=None, derandomize=True, max_examples=40, database=None)
hypothesis.settings.load_profile("fast")
torch.set_num_threads(1)  # the problems are tiny: threads would only wait for each other


@pytest.fixture
def no_shape_checks():
    """Lets wrong shapes reach the code, to see its own messages instead of jaxtyping's."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session", autouse=True)
def nothing_of_the_users(tmp_path_factory):
    """No test reads classifiers, statistics or weights that the user has, nor writes there."""
    empty = tmp_path_factory.mktemp("nothing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXNASH_HOME", str(empty / "mixnash"))
        patch.setenv("TORCH_HOME", str(empty / "torch"))
        patch.delenv("MIXNASH_INCEPTION", raising=False)
        yield
