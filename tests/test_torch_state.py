"""What networks keep on themselves while they run, and write into their weights, is as before after every run."""

import copy
import random
import re
import warnings
from collections import deque
from contextlib import nullcontext

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402
from torch.utils import checkpoint  # noqa: E402
from zoo_torch import Written, conv, head  # noqa: E402

from convscope.core import Edit  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import EngineError, Unsupported  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def ending(x):
    return x.mean((2, 3))


class Renormed(nn.Module):
    """EEGNet's max-norm: the weights are renormalised whenever they are used."""

    def __init__(self, how):
        super().__init__()
        self.conv, self.how = nn.Conv2d(3, 4, 3), how
        self.conv.weight.data *= 20
        self.square = self.tied = nn.Parameter(torch.arange(16.0).view(4, 4))
        self.register_buffer("mask", torch.arange(16.0).view(4, 4))

    def forward(self, x):
        norm = torch.renorm(self.conv.weight.data, 2, 0, 1)
        if self.how == "replaced":
            self.conv.weight.data = norm
        elif self.how == "written":
            self.conv.weight.data.copy_(norm)
        elif self.how == "counted":
            with torch.no_grad():
                self.conv.weight.copy_(norm)
        elif self.how == "turned":
            self.square.data = self.square.data.t()
            self.mask.data = self.mask.data.t()
        elif self.how == "numpy":
            self.conv.weight.detach().numpy()[...] = norm.numpy()
        elif self.how == "another":
            self.conv.weight = nn.Parameter(norm)
        return ending(self.conv(x)) @ self.square @ self.mask


class Keeping(nn.Module):
    """Keeps from call to call whatever can be kept."""

    def __init__(self):
        super().__init__()
        self.conv, self.hidden, self.count, self.sizes = nn.Conv2d(3, 4, 3), None, 0, [1]
        self.by_name, self.seen, self.last = {"a": [0]}, {0}, deque([0], maxlen=2)
        self.total, self.numbers = torch.zeros(4), np.zeros(4)
        self.drawn, self.generator = random.Random(0), torch.Generator()
        self.numpy_drawn, self.older = np.random.default_rng(0), np.random.RandomState(0)
        self.plain = [nn.BatchNorm2d(4)]

    def forward(self, x):
        noise = torch.rand(1, generator=self.generator) + self.drawn.random() + self.numpy_drawn.random() + self.older.rand()
        x = self.plain[0](self.conv(x)) + self.count + noise + self.total.sum() + float(self.numbers.sum())
        self.hidden = x if self.hidden is None else self.hidden + x
        self.count += 1
        self.sizes.append(len(x))
        self.by_name["a"].append(1)
        self.by_name["b"] = len(self.seen)
        self.seen.add(len(self.seen))
        self.last.append(self.count)
        self.total.data += 1
        self.numbers += 1
        self.fresh = self.count
        self.register_buffer("mask", torch.ones(3), persistent=False)
        self.added = nn.ReLU()
        return ending(self.added(x))


def drawing(_net, x):
    x = x + torch.rand(1) + random.random() + np.random.rand()
    return _net.head(x)


def statistics(net, x):
    return net.head(F.batch_norm(x, net.norm.running_mean, net.norm.running_var, training=True))


def backward(net, x):
    with torch.enable_grad():
        seen = net.body(x.detach().requires_grad_())
        seen.sum().backward()
        net.body.weight.requires_grad_(False)
    return net.head(seen)


def observed():
    quantization = torch.ao.quantization
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.qconfig = quantization.get_default_qat_qconfig("x86")
        return quantization.prepare_qat(net.train())


def checkpointed(reentrant):
    def run(net, x):
        return net.head(checkpoint.checkpoint(net.body, x, use_reentrant=reentrant))

    return Written(run, body=nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(), conv(4, 4)), head=head(4))


def hooking(net, x):
    net.body.register_forward_hook(lambda _module, _args, out: out + 1)
    net.head.register_forward_pre_hook(lambda _module, args: (args[0] * 2,))
    net.body.register_full_backward_hook(lambda *_given: None)
    return net.head(net.body(x))


AWKWARD = {
    "hooks": lambda: Written(hooking, body=nn.Conv2d(3, 4, 3), head=head(4)),
    **{
        f"weights {how}": lambda how=how: Renormed(how)
        for how in ("replaced", "written", "counted", "numpy", "another", "turned")
    },
    "things kept": Keeping,
    "random numbers": lambda: Written(drawing, head=head(3)),
    "uncounted statistics": lambda: Written(statistics, norm=nn.BatchNorm2d(3), head=head(3)),
    "a backward pass inside": lambda: Written(backward, body=nn.Conv2d(3, 4, 3), head=head(4)),
    "observers": observed,
    "checkpointed": lambda: checkpointed(False),
    "checkpointed, reentrant": lambda: checkpointed(True),
}


def everything(module):
    """All of it by name, in values that can be compared."""
    found = {"python": random.getstate(), "numpy": np.random.get_state()[1:], "torch": torch.get_rng_state().numpy().tobytes()}
    for path, part in module.named_modules():
        found[f"{path} attributes"] = {name: plain(value) for name, value in vars(part).items() if name[0] != "_"}
        found[f"{path} order"] = [*vars(part), *part._modules, *part._parameters, *part._buffers]
        found[f"{path} parts"] = list(map(id, (*part._parameters.values(), *part._buffers.values(), *part._modules.values())))
        found[f"{path} hooks"] = list(map(len, (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)))
    found |= {name: [each, each.data_ptr(), each.requires_grad, each.grad] for name, each in module.named_parameters()}
    found |= {name: [each, each.stride()] for name, each in module.named_buffers()}
    return {name: plain(each) for name, each in found.items()}


def plain(value):
    if isinstance(value, nn.Module):
        return id(value), everything(value)
    if isinstance(value, torch.Tensor):
        return id(value), value.detach().clone().numpy().tobytes()  # torch no longer resizes what NumPy has seen
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.RandomState):
        return plain(value.get_state())
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple | deque | set) else value


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_what_a_network_does_to_itself_is_undone(name, training):
    module = AWKWARD[name]().train(training)
    for each in module.parameters():
        each.grad = torch.ones_like(each)
    before = everything(module)
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    assert everything(module) == before
    rows = engine.graph.names
    whole = engine.run(BATCH, [*rows, "output"])
    assert everything(module) == before
    again = engine.run(BATCH, [*rows, "output"])
    for tap in whole:
        np.testing.assert_array_equal(again[tap], whole[tap])
    engine.run(BATCH, rows[:2])
    held = engine.hold(BATCH, rows[1])
    np.testing.assert_allclose(held.run()["output"], whole["output"], rtol=1e-5, atol=1e-5)
    trace = engine.trace(BATCH, ["input"])
    np.testing.assert_allclose(trace["output"], whole["output"], rtol=1e-5, atol=1e-5)
    with pytest.raises(Unsupported) if name == "a backward pass inside" else nullcontext():  # it begins anew in there
        trace.pullback({"output": np.ones_like(whole["output"])}, ["input"])
    assert everything(module) == before


def test_what_a_network_does_to_itself_before_it_fails_is_undone():
    def run(net, x):
        keeping = net.keeping(x)
        net.keeping.conv.weight.data.mul_(2)
        net.keeping.conv.weight.data = torch.zeros(1)
        if len(x) == 1:
            raise ZeroDivisionError("on purpose")
        return net.head(keeping)

    module = Written(run, keeping=Keeping(), head=nn.Linear(4, 3)).train()
    before = everything(module)
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    for call in (engine.run, engine.trace, lambda pictures: engine.hold(pictures, "head")):
        with pytest.raises(EngineError, match="on purpose"):
            call(BATCH[:1])
        assert everything(module) == before


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("taps", [["input"], ["body.0"], ["body.2"], ["input", "body.4"]], ids=str)
def test_gradients_through_a_checkpoint_are_those_without(reentrant, taps):
    module = checkpointed(reentrant).train()
    without = Written(lambda net, x: net.head(net.body(x)), body=module.body, head=module.head).train()
    before, seed = everything(module), {"output": np.ones((2, 3), np.float32)}
    edits = [Edit("body.0", 0.5, 1.0)] if taps != ["body.2"] else []
    one, other = (
        TorchEngine(each, picture_shape=(3, 8, 8)).trace(BATCH, taps, edits).pullback(seed, taps) for each in (module, without)
    )
    for tap in taps:
        np.testing.assert_array_equal(one[tap], other[tap])
        assert one[tap].any()
    assert everything(module) == before


class Reversible(torch.autograd.Function):
    """Keeps nothing, and runs the network again on the way back."""

    @staticmethod
    def forward(ctx, x, body):
        ctx.body = body
        ctx.save_for_backward(x)
        return body(x)

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            ctx.body(x).backward(gradient)
        return x.grad, None


def test_what_runs_again_on_the_way_back_does_so_in_evaluation_mode_and_leaves_nothing():
    body = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.Dropout())
    module = Written(lambda net, x: net.head(Reversible.apply(x, net.body)), body=body, head=head(4)).train()
    plain = Written(lambda net, x: net.head(net.body(x)), body=body, head=module.head).train()
    before, seed = everything(module), {"output": np.ones((2, 3), np.float32)}
    one, other = (
        TorchEngine(each, picture_shape=(3, 8, 8)).trace(BATCH, ["input"]).pullback(seed, ["input"]) for each in (module, plain)
    )
    np.testing.assert_allclose(one["input"], other["input"], atol=1e-6)
    assert everything(module) == before


def test_weights_that_are_written_into_only_for_some_pictures_are_not_changed_unsaid():
    def run(net, x):
        if x.sum() < 0:
            with torch.no_grad():
                net.head[2].weight.mul_(2)
        return net.head(x)

    module = Written(run, head=head(3))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    with pytest.raises(EngineError, match="wrote into its own weights.*Load them again"):
        engine.run(-np.ones_like(BATCH))
    before = everything(module)
    engine.run(-np.ones_like(BATCH))
    assert everything(module) == before


def test_what_is_not_as_in_other_networks_is_said():
    class Fusing(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head(3)

        def train(self, _mode=True):
            raise AssertionError("this is the user's, and may do anything")

        def forward(self, x):
            return self.head(x)

    said = {
        "writes into its own weights": Renormed("written"),
        "draws random numbers": Written(drawing, head=head(3)),
        r"1 of its modules \(BatchNorm2d\) are in a list": Keeping(),
        r"train\(\) that Fusing has": Fusing(),
    }
    for number, module in enumerate(said.values()):
        notes = " ".join(TorchEngine(module, picture_shape=(3, 8, 8)).notes)
        for other, sentence in enumerate(said):
            assert bool(re.search(sentence, notes)) == (number == other)
    assert TorchEngine(Written(lambda net, x: net.head(x), head=head(3)).eval(), picture_shape=(3, 8, 8)).notes == ()


def test_runs_are_the_same_whatever_was_kept_from_an_earlier_one():
    """And what is held is not: a network that keeps things on itself runs whole."""

    def run(net, x):
        x = net.body(x)
        net.calls += 1
        return net.head(x * net.calls)

    class Body(nn.Conv2d):
        def forward(self, x):
            self.seen = [len(x)]
            return super().forward(x)

    module = Written(run, body=Body(3, 4, 3), head=head(4))
    module.calls = 2
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    expected = engine.run(BATCH)["output"]
    with torch.no_grad():
        np.testing.assert_allclose(expected, module.head(3 * module.body(torch.from_numpy(BATCH))).numpy(), atol=1e-5)
    held = engine.hold(BATCH, "body")
    for _ in range(2):
        np.testing.assert_array_equal(held.run()["output"], expected)


def test_weights_made_in_inference_mode_stay_trainable_and_gradients_are_refused():
    with torch.inference_mode():
        module = nn.Sequential(conv(3, 4), head(4))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    with pytest.raises(Unsupported, match="made in torch.inference_mode"):
        engine.trace(BATCH)
    assert all(each.requires_grad for each in module.parameters())
    assert TorchEngine(copy.deepcopy(module), picture_shape=(3, 8, 8)).trace(BATCH, ["0"])["0"].any()


class Deviation(nn.Module):
    """The deviation over the pictures as one more channel, as in the discriminators of GANs."""

    def forward(self, x):
        return torch.cat([x, x.std(0, unbiased=False).mean().expand(len(x), 1, *x.shape[2:])], 1)


MIXING = {
    "1": lambda: nn.Sequential(conv(3, 4), nn.BatchNorm2d(4, track_running_stats=False), head(4)),
    "2.expand": lambda: nn.Sequential(conv(3, 4), nn.ReLU(), Deviation(), head(5)),
    "batch_norm": lambda: Written(lambda net, x: net.head(F.batch_norm(x, None, None, training=True)), head=head(3)),
}


@pytest.mark.parametrize("row", MIXING)
def test_that_pictures_change_what_is_read_of_each_other_is_said(row):
    engine = TorchEngine(MIXING[row](), picture_shape=(3, 8, 8))
    assert [note for note in engine.notes if f"What '{row}' makes of a picture depends on the others" in note]
    both, alone = engine.run(BATCH, [row])[row], engine.run(BATCH[:1], [row])[row]
    assert np.abs(both[:1] - alone).max() > 1e-2


def test_means_within_pictures_are_none_over_them():
    def run(net, x):
        x = net.norm(x)
        return net.head(x * x.mean((2, 3), keepdim=True).sigmoid() + 0 * x.mean())

    module = Written(run, norm=nn.InstanceNorm2d(3), head=nn.Sequential(nn.BatchNorm2d(3), head(3)))
    assert TorchEngine(module, picture_shape=(3, 8, 8)).notes == ()


def test_what_is_read_is_what_flows_after_the_hooks_of_the_user():
    """Before, after, of all modules; those that make weights; and what they see is what flows in the network itself."""
    seen = []
    module = nn.Sequential(
        prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5), nn.ReLU(), nn.Conv2d(4, 4, 3), head(4)
    ).eval()
    module[0].register_forward_pre_hook(lambda _module, args: (args[0] * 2,))
    module[0].register_forward_hook(lambda _module, _args, out: out + 1)
    module[2].register_forward_hook(lambda _module, _args, out: seen.append(out) or out.clone().mul_(3))
    everywhere = nn.modules.module.register_module_forward_hook(
        lambda part, _args, out: out - 1 if isinstance(part, nn.ReLU) else None
    )
    try:
        read = TorchEngine(module, picture_shape=(3, 8, 8)).run(BATCH, ["0", "1", "2", "output"])
        flows = []
        last = [part.register_forward_hook(lambda _module, _args, out: flows.append(out.clone())) for part in module[:3]]
        with torch.no_grad():
            output = module(torch.from_numpy(BATCH))
        for each in last:
            each.remove()
    finally:
        everywhere.remove()
    for name, flow in zip(("0", "1", "2", "output"), (*flows, output), strict=True):
        np.testing.assert_array_equal(read[name], flow.numpy())
    assert len(seen) > 1


class Counting(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.register_buffer("steps", torch.ones(1))
        self.how, self.head = how, head(3)

    def forward(self, x):
        if self.how == "counted":
            self.steps += 1
        elif self.how == "uncounted":
            self.steps.data += 1
        return self.head(x * self.steps)


CHANGED = {f"weights {how}": AWKWARD[f"weights {how}"] for how in ("replaced", "written", "counted", "another")}
CHANGED |= {f"a buffer {how}": lambda how=how: Counting(how) for how in ("counted", "uncounted")}


@pytest.mark.parametrize("name", CHANGED)
def test_gradients_are_those_at_the_weights_that_ran(name):
    """And not at those that were put back: of networks that are linear in the picture, the change of the output says which."""
    engine = TorchEngine(CHANGED[name](), picture_shape=(3, 8, 8))
    output = engine.run(BATCH)["output"]
    seed = np.ones_like(output)
    gradient = engine.trace(BATCH, ["input"]).pullback({"output": seed}, ["input"])["input"]
    change = (engine.run(BATCH + 1)["output"] - output).sum()
    np.testing.assert_allclose(gradient.sum(), change, rtol=1e-3)
