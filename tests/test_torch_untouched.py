"""What is left of a user's torch module after a run that fails at any layer, in threads, and after a thousand calls."""

import gc
import sys
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402
from zoo_torch import PICTURES, ZOO, Written, conv, head  # noqa: E402

from convscope.core import Edit  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.engines.torch_attributes import parts_of  # noqa: E402
from convscope.engines.torch_modules import hooked  # noqa: E402
from convscope.engines.torch_state import Known, State  # noqa: E402
from convscope.errors import EngineError, InputError  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def state_of(module):
    """All that a run could leave behind: hooks, modes, attributes; gradients; parameters and buffers; the random state."""
    parts = {
        name: (len(each._forward_hooks), len(each._forward_pre_hooks), each.training, sorted(vars(each)), each.forward.__name__)
        for name, each in module.named_modules()
    }
    marks = {name: (each.grad is None, each.requires_grad, id(each)) for name, each in module.named_parameters()}
    values = {name: each.clone() for name, each in module.state_dict().items()}
    return parts, marks, values, torch.random.get_rng_state()


def assert_same(module, before):
    parts, marks, values, random = state_of(module)
    assert parts == before[0]
    assert marks == before[1]
    assert all(torch.equal(values[name], before[2][name]) for name in values)
    assert torch.equal(random, before[3])


@pytest.mark.parametrize("name", ["norms_and_dropout", "inplace_residual", "shared", "recurrent"])
def test_a_network_that_fails_at_any_layer_is_left_as_it_was(name, monkeypatch):
    module = ZOO[name]().train()
    next(iter(module.parameters())).requires_grad = False
    engine = TorchEngine(module, picture_shape=PICTURES[name])
    rows = engine.graph.names

    def fails(*_given, **_named):
        torch.rand(3)
        raise ZeroDivisionError("on purpose")

    before = state_of(module)
    for part in [each for each in module.modules() if each is not module]:
        with monkeypatch.context() as patch:
            patch.setattr(type(part), "forward", fails)
            failing = state_of(module)
            for call in (
                lambda: engine.run(BATCH, ["output"], [Edit(rows[1], 0.5)]),
                lambda: engine.run(BATCH, rows),
                lambda: engine.trace(BATCH, rows),
                lambda: engine.hold(BATCH, rows[-1]).run(),
            ):
                with pytest.raises(EngineError, match="on purpose"):
                    call()
            assert_same(module, failing)
        assert_same(module, before)
    engine.run(BATCH, rows)


def test_a_failure_inside_a_layer_names_it_and_the_one_before():
    class Seventh(nn.Module):
        def forward(self, x):
            if len(x) == 2:
                return x
            raise ZeroDivisionError("on purpose")

    net = nn.Sequential(*[conv(3, 3) for _ in range(6)], Seventh(), head(3))
    engine = TorchEngine(net, picture_shape=(3, 8, 8))
    with pytest.raises(EngineError, match=r"failed in '6', after '5', on pictures of shape \(1, 3, 8, 8\)") as caught:
        engine.run(BATCH[:1], ["output"])
    assert caught.value.layer == "5"
    with pytest.raises(EngineError, match="in '6', after '5'"):
        engine.run(BATCH[:1], ["7.2"])


@pytest.mark.parametrize("engines", [1, 2], ids=["one engine", "two of one module"])
def test_threads_on_one_network_read_what_they_would_alone(engines):
    module = ZOO["inplace_residual"]().train()
    of = [TorchEngine(module, picture_shape=(3, 8, 8)) for _ in range(engines)]
    names = of[0].graph.names
    inputs = [BATCH + number for number in range(4)]
    expected = [dict(of[0].run(each, names)) for each in inputs]
    seen: list[object] = []

    def work(number):
        for _ in range(5):
            run = of[number % engines].run(inputs[number], names)
            seen.append(all(np.array_equal(run[tap], each) for tap, each in expected[number].items()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == [True] * 20
    assert all(each.training for each in module.modules())
    assert not any(each._forward_hooks for each in module.modules())


def test_the_module_in_another_thread_is_not_read():
    """It is called while a run of ours is on its way: its values are not those of our pictures."""
    answers = []

    def run(net, x):
        x = net.stem(x)
        if not answers and threading.current_thread() is threading.main_thread() and len(x) == 1:
            other = threading.Thread(target=lambda: answers.append(net.stem(torch.ones(1, 3, 8, 8))))
            other.start()
            other.join()
        return net.head(x)

    module = Written(run, stem=conv(3, 4), head=head(4))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    seen = engine.run(BATCH[:1], ["stem", "output"], [Edit("stem", 1.0, 1.0)])["stem"]
    assert len(answers) == 1
    with torch.no_grad():
        np.testing.assert_allclose(seen, module.stem(torch.from_numpy(BATCH[:1])).numpy() + 1, atol=1e-6)
        np.testing.assert_allclose(answers[0].detach().numpy(), module.stem(torch.ones(1, 3, 8, 8)).numpy(), atol=1e-6)


def test_a_thousand_calls_do_not_grow():
    module = ZOO["inplace_relu"]()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    names, seed = engine.graph.names, np.ones((2, 3), np.float32)
    kinds = [
        lambda: engine.run(BATCH, names),
        lambda: engine.run(BATCH, ["output"], [Edit(names[1], 0.5)]),
        lambda: engine.trace(BATCH, names).pullback({"output": seed}, ["input", names[2]]),
        lambda: engine.hold(BATCH, names[4]).run(),
        lambda: pytest.raises(InputError, engine.run, BATCH, names, [Edit("4", np.ones(99, np.float32))]),  # half-way
    ]

    def calls(number):
        for _ in range(number):
            for kind in kinds:
                kind()
        gc.collect()
        return np.array([sys.getallocatedblocks(), tensors(), hooks(module)])

    calls(10)
    before = calls(10)
    grown = calls(200) - before
    assert grown[0] < 200  # of Python's blocks; one per call would be a thousand
    assert grown[1:].tolist() == [0, 0]


def tensors():
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def hooks(module):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


def test_reading_weights_of_a_spectral_norm_in_training_does_not_go_a_step_on():
    layer = parametrizations.spectral_norm(conv(3, 4))
    module = nn.Sequential(layer, head(4)).train()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    before = state_of(module)
    kernel = engine.weights("0")["kernel"]
    assert_same(module, before)
    with torch.no_grad():
        expected = module.eval()[0](torch.from_numpy(BATCH)).numpy()
        by_hand = nn.functional.conv2d(torch.from_numpy(BATCH), torch.from_numpy(kernel), layer.bias, padding=1).numpy()
    np.testing.assert_allclose(by_hand, expected, atol=1e-5)
    np.testing.assert_allclose(engine.run(BATCH, ["0"])["0"], expected, atol=1e-5)


def test_a_run_keeps_nothing_that_only_a_gradient_needs():
    """In whichever mode the caller is."""
    kept = []

    def run(net, x):
        x = net.stem(x)
        kept.append(x.requires_grad)
        return net.head(x)

    engine = TorchEngine(Written(run, stem=conv(3, 4), head=head(4)), picture_shape=(3, 8, 8))
    kept.clear()
    for mode in (torch.no_grad(), torch.enable_grad(), torch.inference_mode()):
        with mode:
            engine.run(BATCH)
            assert kept == [False]
            gradient = engine.trace(BATCH, ["input"]).pullback({"output": np.ones((2, 3), np.float32)}, ["input"])["input"]
        assert gradient.any()
        assert kept.pop()
        kept.clear()


def test_writes_that_torch_does_not_count_reach_nothing_that_was_read():
    """Through .data and through NumPy, after the layer: what was read is a copy, made at once."""

    def run(net, x):
        x = net.stem(x)
        x.data.mul_(3)
        y = net.body(x)
        y.detach().numpy()[...] += 5
        return net.head(y)

    module = Written(run, stem=conv(3, 4), body=conv(4, 4), head=head(4))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    read = engine.run(BATCH, ["stem", "body", "output"])
    with torch.no_grad():
        stem = module.stem(torch.from_numpy(BATCH))
        body = module.body(stem * 3)
        np.testing.assert_array_equal(read["stem"], stem.numpy())
        np.testing.assert_allclose(read["body"], body.numpy(), atol=1e-5)
        np.testing.assert_allclose(read["output"], module.head(body + 5).numpy(), atol=1e-5)


def test_buffers_are_put_back_whatever_was_done_to_them():
    module = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(2))
    module.register_buffer("turned", torch.arange(8.0).reshape(4, 2).t())
    module.register_buffer("sparse", torch.eye(3).to_sparse())
    module.register_buffer("nothing", None)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    own, state = module[0].running_mean, State(module, Known())
    module[0].running_mean += 3
    module[1].num_batches_tracked += 1
    module[1].running_var = torch.ones(2) * 9
    module.turned.zero_()
    state.put_back()
    assert all(torch.equal(each.to_dense(), before[name].to_dense()) for name, each in module.state_dict().items())
    assert module[0].running_mean is own
    assert set(parts_of(module)) == set(module.modules())


def test_what_is_registered_has_its_own_name_again():
    module = nn.BatchNorm2d(3)
    before, state = {name: id(each) for name, each in module.state_dict(keep_vars=True).items()}, State(module, Known())
    module._buffers["another"] = module._buffers.pop("num_batches_tracked")  # the same, and at the same place
    state.put_back()
    assert {name: id(each) for name, each in module.state_dict(keep_vars=True).items()} == before


def test_hooks_come_after_those_of_the_user_and_go_whatever_becomes_of_the_tables():
    module, seen = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()), []
    module[0].register_forward_hook(lambda *_given: seen.append("user"))
    module[1]._forward_hooks[7] = lambda *_given: module[1]._forward_hooks.clear()
    with hooked(module, lambda *_given: seen.append("end"), lambda *_given: seen.append("begin")):
        module(torch.ones(1))
    assert seen == ["begin", "user", "end", "begin", "end", "begin", "end"]
    assert hooks(module) == 1
    with pytest.raises(AttributeError), hooked([*module, None], print, print):
        pass
    assert hooks(module) == 1
    assert not any(each._forward_pre_hooks_with_kwargs for each in module)
