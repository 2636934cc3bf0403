"""Memory for what is read from a torch network: given again when nobody refers to it, and kept for a while."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402

from convscope.engines import memory  # noqa: E402
from convscope.engines.memory import RUNS, SMALLEST, Pool  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_given_again_only_when_nobody_refers_to_it():
    pool, like = Pool(), torch.ones(2, SMALLEST)
    first = pool.copy(like)
    place = address(first)
    for keep in (lambda array: array, lambda array: array[1:, ::2], lambda array: torch.from_numpy(array), memoryview):
        kept = keep(first)
        del first
        assert address(pool.copy(like)) != place
        del kept
        first = pool.copy(like)
        assert address(first) == place
    assert first.flags.c_contiguous
    assert first.flags.writeable


def blocks_of(pool):
    return {tuple(shape): len(blocks) for shape, blocks in pool._blocks.items()}


def test_memory_is_kept_for_some_runs_that_do_not_use_it_and_then_let_go():
    pool, one, other = Pool(), torch.ones(4, SMALLEST), torch.ones(SMALLEST)
    assert len([pool.copy(one) for _ in range(2)]) == 2
    pool.trim()
    for _ in range(RUNS - 1):
        pool.copy(other)
        pool.copy(other)  # nobody kept the first: it is the same again
        assert blocks_of(pool) == {(4, SMALLEST): 2, (SMALLEST,): 1}
        pool.trim()
    pool.trim()
    assert blocks_of(pool) == {(SMALLEST,): 1}
    for _ in range(RUNS):
        pool.trim()
    assert blocks_of(pool) == {}


def test_no_more_memory_is_kept_than_was_said_and_what_the_last_run_used_comes_first(monkeypatch):
    monkeypatch.setattr(memory, "KEPT", 4 * 6 * SMALLEST)
    pool, *tensors = Pool(), *(torch.ones(count, SMALLEST) for count in (1, 2, 3))
    for each in tensors:
        pool.copy(each)
    pool.trim()
    assert blocks_of(pool) == {(1, SMALLEST): 1, (2, SMALLEST): 1, (3, SMALLEST): 1}
    assert len([pool.copy(tensors[1]) for _ in range(3)]) == 3
    pool.trim()
    assert blocks_of(pool) == {(1, SMALLEST): 0, (2, SMALLEST): 3, (3, SMALLEST): 0}
    pool.copy(torch.ones(7, SMALLEST))
    pool.trim()
    assert blocks_of(pool)[7, SMALLEST] == 0


class Inferring(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()

    def forward(self, x):
        with torch.inference_mode():
            y = self.first(x * 2)
        return self.second(y + 1)


def test_memory_that_was_first_asked_for_in_inference_mode_serves_outside_of_it():
    side = int(SMALLEST**0.5)
    engine, pictures = TorchEngine(Inferring(), picture_shape=(3, side, side)), np.ones((1, 3, side, side), np.float32)
    for layer, value in {"first": 2, "second": 3}.items():
        assert np.all(engine.run(pictures, [layer])[layer] == value)
