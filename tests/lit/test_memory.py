"""Queues and reservoirs that no machine could hold are refused before anything is allocated."""

import os
import re

import pytest
import torch

from mixnash.core.dynamics.double_oracle import DoubleOracle
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.opponent_averaging import OpponentAveraging
from mixnash.core.dynamics.snapshot_play import SnapshotPlay
from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.types import Profile
from mixnash.equilibrium.linear_program import LinearProgram
from mixnash.lit import memory
from mixnash.lit.memory import check_copies_fit, free_bytes, particle_bytes
from training import adam_dynamics, make_trainer, mixed_gan, ring, rules

CPU = torch.device("cpu")
PLAYERS = rules(Adam(2e-3)), rules(Adam(1e-3))
GENERATORS = make_population({"a": torch.zeros(3, 64, 4), "b": torch.zeros(3, 64, dtype=torch.float64)})  # 1,536 each
CRITICS = make_population({"a": torch.zeros(2, 128, 4)})  # 2,048 each
PROFILE = Profile(GENERATORS, CRITICS)


def says(monkeypatch, folder, text):
    """The kernel says so."""
    (folder / "meminfo").write_text(text)
    monkeypatch.setattr(memory, "MEMORY_FILE", folder / "meminfo")


@pytest.mark.parametrize(
    ("dynamics", "copies"),
    [
        (SnapshotPlay(*PLAYERS, capacity=10**9), "3,000,000,000 copies of a generator and 2,000,000,000 of a critic"),
        (OpponentAveraging(*PLAYERS, 0.5, 10**9), "1,000,000,000 copies of a generator and 1,000,000,000 of a critic"),
    ],
    ids=["queue", "reservoir"],
)
def test_training_with_an_absurd_capacity_ends_in_one_sentence_before_it_begins(dynamics, copies, tmp_path):
    sentence = f"{type(dynamics).__name__} would keep {copies}, which takes up to"
    with pytest.raises(InvalidInputError, match=sentence) as found:
        make_trainer(tmp_path, 2).fit(mixed_gan(dynamics), datamodule=ring())
    said = str(found.value)
    assert re.search(r"takes up to [\d,]+\.\d\d GiB where [\d,]+\.\d\d GiB are free on cpu: lower .* capacity", said)
    assert "\n" not in said


def test_training_with_a_queue_that_fits_runs(tmp_path):
    module = mixed_gan(SnapshotPlay(*PLAYERS, capacity=3, critic_steps=2))
    trainer = make_trainer(tmp_path, 2)
    trainer.fit(module, datamodule=ring())
    assert trainer.global_step == 2


def test_the_line_lies_where_the_copies_take_all_that_is_free(monkeypatch, tmp_path):
    # Three times 5 (3 x 1,536 + 2 x 2,048) bytes = 127.5 KiB.
    dynamics = SnapshotPlay(*PLAYERS, capacity=5)
    assert (particle_bytes(GENERATORS), particle_bytes(CRITICS)) == (1536, 2048)
    says(monkeypatch, tmp_path, "MemTotal:       999999 kB\nMemAvailable:       128 kB\nSwapFree: 7 kB\n")
    check_copies_fit(dynamics, PROFILE, CPU)
    says(monkeypatch, tmp_path, "MemTotal:       999999 kB\nMemAvailable:       127 kB\nSwapFree: 7 kB\n")
    with pytest.raises(InvalidInputError, match="15 copies of a generator and 10 of a critic"):
        check_copies_fit(dynamics, PROFILE, CPU)
    check_copies_fit(SnapshotPlay(*PLAYERS, capacity=4), PROFILE, CPU)


@pytest.mark.parametrize(
    ("dynamics", "copies"),
    [
        (adam_dynamics(), (0, 0)),
        (DoubleOracle(Adam(1e-3), Adam(1e-3), LinearProgram()), (0, 0)),
        (OpponentAveraging(*PLAYERS, 0.5, 7), (7, 7)),
        (SnapshotPlay(*PLAYERS, capacity=7), (21, 14)),
        (Lookahead(SnapshotPlay(*PLAYERS, capacity=7)), (24, 16)),
    ],
)
def test_dynamics_say_how_many_copies_their_states_hold(dynamics, copies):
    assert dynamics.extra_particles(3, 2) == copies


def test_dynamics_without_copies_are_never_refused(monkeypatch, tmp_path):
    says(monkeypatch, tmp_path, "MemAvailable: 0 kB\n")
    check_copies_fit(adam_dynamics(), PROFILE, CPU)


@pytest.mark.parametrize("text", ["MemTotal: 5 kB\n", "MemAvailable: much\n", "MemAvailable:\n", None])
def test_free_pages_are_counted_where_the_kernel_does_not_say_what_is_available(monkeypatch, tmp_path, text):
    says(monkeypatch, tmp_path, text or "")
    if text is None:
        (tmp_path / "meminfo").unlink()
    monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 11, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert free_bytes(CPU) == 11 * 4096


def test_nothing_is_refused_where_nobody_knows_what_is_free(monkeypatch, tmp_path):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(memory, "MEMORY_FILE", tmp_path / "missing")
    monkeypatch.setattr(os, "sysconf", unknown)
    assert free_bytes(CPU) is None
    assert free_bytes(torch.device("mps")) is None
    check_copies_fit(SnapshotPlay(*PLAYERS, capacity=10**9), PROFILE, CPU)


def test_on_a_graphics_card_what_this_process_set_aside_counts_as_free(monkeypatch):
    asked = []
    for name, answer in (("mem_get_info", (5000, 9000)), ("memory_reserved", 700), ("memory_allocated", 200)):
        monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: (asked.append(device), answer)[1])
    assert free_bytes(torch.device("cuda:1")) == 5500
    assert set(asked) == {torch.device("cuda:1")}
