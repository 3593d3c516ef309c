"""Sections are ranges in a profiler's trace, and nothing while nobody profiles."""

from torch.profiler import ProfilerActivity, profile

from mixnash.core.sections import PREFIX, section


def recorded(work):
    """Names and extents of the sections in a trace of some work."""
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorder:
        work()
    return {
        event.name.removeprefix(PREFIX): event.time_range
        for event in recorder.events()
        if event.name.startswith(PREFIX)
    }


def test_nested_sections_are_recorded_within_each_other():
    def work():
        with section("outer"), section("inner"):
            pass
        with section("next"):
            pass

    found = recorded(work)
    assert found.keys() == {"outer", "inner", "next"}
    outer, inner = found["outer"], found["inner"]
    assert outer.start <= inner.start <= inner.end <= outer.end <= found["next"].start


def test_section_ends_with_the_error_that_left_it():
    def work():
        try:
            with section("failed"):
                raise ArithmeticError
        except ArithmeticError:
            pass
        with section("next"):
            pass

    found = recorded(work)
    assert found["failed"].end <= found["next"].start


def test_sections_outside_of_a_profile_are_one_and_the_same_nothing():
    assert section("a") is section("b")
    recorded(lambda: None)
    with section("a") as nothing:
        assert nothing is None
    assert section("a") is section("c")
