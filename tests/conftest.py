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
