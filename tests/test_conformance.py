"""The fake engine keeps every law, its numbers are those worked out by hand, and each law notices an engine that breaks it."""

import dataclasses

import numpy as np
import pytest

from convscope.conformance import check_engine, laws
from convscope.conformance.compare import asked_once, editable
from convscope.core import Differentiable, Edit, Graph, Run, Tap, as_tap, reduced
from convscope.engines.fake import GATE, PICTURE, FakeEngine
from convscope.errors import InputError, UnknownLayer, Unsupported


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(3, *PICTURE)).astype(np.float32)


def test_the_fake_engine_keeps_every_law(pictures):
    assert check_engine(FakeEngine(), pictures) == list(laws())


def test_the_laws_hold_for_several_inputs(pictures):
    gate = np.random.default_rng(1).normal(size=(3, *GATE)).astype(np.float32)
    both, engine = {"input": pictures, "input:1": gate}, FakeEngine(gated=True)
    assert check_engine(engine, both) == list(laws())
    np.testing.assert_allclose(engine.run(both, ["gate"])["gate"][0, 1], engine.run(both, ["pool1"])["pool1"][0, 1] * gate[0, 1])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda pictures, _: pictures, "takes 'input', 'input:1', but received 'input'"),
        (lambda pictures, gate: {"input": pictures, "gates": gate}, "received 'input', 'gates'"),
        (lambda pictures, gate: {"input": pictures, "input:1": gate[:2]}, "'input' has 3, 'input:1' has 2"),
        (lambda pictures, gate: {"input": pictures, "input:1": gate[:, :2]}, "'input:1'.*shape \\(any, 4\\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(wrong, says, pictures):
    with pytest.raises(InputError, match=says):
        FakeEngine(gated=True).run(wrong(pictures, np.ones((3, *GATE), np.float32)))


def test_the_fake_engines_numbers_by_hand():
    picture = np.zeros((1, *PICTURE), np.float32)
    picture[0, 0] = 2  # red everywhere
    run = FakeEngine().run(picture, ["conv1", "relu1", "add", "classes"])
    assert run["conv1"][0, :, 4, 4].tolist() == [2, 0.5, 0, -19]
    assert run["relu1"][0, :, 4, 4].tolist() == [2, 0.5, 0, 0]
    assert run["add"][0, :, 2, 2].tolist() == [2.5, 0.5, 0, 2]  # each unit and the one after it
    np.testing.assert_allclose(run["classes"], [[2.5, 0.5, -2.5 + 2 + 0.25]])


def test_a_run_of_the_fake_engine_stops_at_the_last_tap(pictures):
    engine = FakeEngine()
    engine.run(pictures, ["relu1"])
    assert engine.ran == ("conv1", "relu1")


@pytest.mark.parametrize("refused", [None, "pool1"])
def test_whether_layers_can_be_edited_is_tried_once_for_all_laws(refused, pictures):
    tried = []

    class Counting(FakeEngine):
        def run(self, pictures, taps=(), edits=()):
            names = [edit.layer for edit in edits]
            if names and [*taps] == [*names, "output"] and list(map(str, edits)) == [str(Edit(name)) for name in names]:
                tried.append(names)
            if refused in names:
                raise Unsupported(f"'{refused}' holds whole numbers.")
            return super().run(pictures, taps, edits)

    for _ in range(2):  # another engine is asked anew
        engine = Counting()
        if refused is None:
            check_engine(engine, pictures)
            (whole,) = (names for names in tried if len(names) > 1)
            assert whole == [*engine.graph.names]
        else:
            with asked_once():  # one by one only then
                assert [editable(engine, pictures, engine.graph.names) for _ in range(2)] == [
                    [name for name in engine.graph.names if name != refused]
                ] * 2
            assert tried == [[*engine.graph.names], *([name] for name in engine.graph.names)]
        tried.clear()


class Faulty(FakeEngine):
    """An engine with one fault: a subclass for each."""


class ARowThatCannotBeRead(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(pictures, [Tap("nowhere") if as_tap(tap).layer == "pool1" else tap for tap in taps], edits)


class GivesMoreThanAsked(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(pictures, [*taps, "output"], edits)


class ReadingDisturbs(Faulty):
    """As a tap does that prevents a fusion, or that a hook returns another array by."""

    def run(self, pictures, taps=(), edits=()):
        taps = list(taps)
        run = super().run(pictures, taps, edits)
        return Run({tap: run[tap] * (1 + 0.001 * len(taps)) if tap.layer == "output" else run[tap] for tap in run})


class WrongShapeInTheTable(Faulty):
    def __init__(self):
        super().__init__()
        rows = [dataclasses.replace(row, shape=(4, 8, 7)) if row.name == "conv1" else row for row in self.graph]
        self.graph = Graph(tuple(rows))


class WrongParameterCount(Faulty):
    def __init__(self):
        super().__init__()
        self.graph = Graph(tuple(dataclasses.replace(row, parameters=row.parameters * 2) for row in self.graph))


class RowsOutOfOrder(Faulty):
    def __init__(self):
        super().__init__()
        self.graph = Graph((self.graph.layers[0], *self.graph.layers[:0:-1]))


class OverwrittenByTheNextLayer(Faulty):
    """The classic: an in-place ReLU changes what was read of the convolution."""

    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run({tap: np.maximum(run[tap], 0) if tap.layer == "conv1" and len(run) > 1 else run[tap] for tap in run})


class ReadBeforeTheEdit(Faulty):
    def run(self, pictures, taps=(), edits=()):
        edited, plain = super().run(pictures, taps, edits), super().run(pictures, taps)
        return Run({tap: edited[tap] if tap.layer == "output" else plain[tap] for tap in edited})


class EditsIgnored(Faulty):
    def run(self, pictures, taps=(), edits=()):
        taps, edits = list(taps), list(edits)
        shown = super().run(pictures, taps, edits)
        deaf = super().run(pictures, taps)
        return Run(
            {
                tap: deaf[tap] if tap.layer == "output" and "output" not in [e.layer for e in edits] else shown[tap]
                for tap in shown
            }
        )


class LastEditWins(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(pictures, taps, {edit.layer: edit for edit in edits}.values())


class EditOfAUnitSpreads(Faulty):
    def run(self, pictures, taps=(), edits=()):
        blunt = [
            Edit(each.layer, np.mean(each.scale), np.mean(each.shift)) if np.size(each.scale) > 1 else each for each in edits
        ]
        return super().run(pictures, taps, blunt)


class EditsStay(Faulty):
    def run(self, pictures, taps=(), edits=()):
        self.kept = [*getattr(self, "kept", []), *(each for each in edits if each.layer != "output" and np.size(each.shift) == 1)]
        return super().run(pictures, taps, self.kept)


def last_maximum(values):
    flat = values.reshape(*values.shape[:2], -1)[..., ::-1]
    return (flat.shape[-1] - 1 - flat.argmax(-1)).astype(np.float32)


class ReducesOverTheBatch(Faulty):
    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run(
            {tap: np.broadcast_to(run[tap].mean(0), run[tap].shape).copy() if tap.reduce == "mean" else run[tap] for tap in run}
        )


class TakesTheLastMaximum(Faulty):
    """Of equal values, as a comparison with >= does."""

    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        whole = super().run(pictures, [tap.layer for tap in run], edits)
        return Run({tap: last_maximum(whole[tap.layer]) if tap.reduce == "argmax" else run[tap] for tap in run})


class NormalisesOverTheBatch(Faulty):
    """As BatchNorm does in training mode."""

    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run({tap: run[tap] - run[tap].mean(0) if tap.layer == "relu1" else run[tap] for tap in run})


class DropsOut(Faulty):
    """As dropout does in training mode."""

    def run(self, pictures, taps=(), edits=()):
        self.calls = getattr(self, "calls", 0) + 1
        run = super().run(pictures, taps, edits)
        return Run({tap: run[tap] * (1 + self.calls % 2) if tap.layer == "relu1" else run[tap] for tap in run})


class GivesItsOwnArrays(Faulty):
    def weights(self, layer):
        return dict(self._steps[layer].weights) if layer in self._steps else super().weights(layer)


class Doubles(Faulty):
    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run({tap: run[tap].astype(np.float64) for tap in run})


class WritesIntoThePictures(Faulty):
    def run(self, pictures, taps=(), edits=()):
        result = super().run(pictures, taps, edits)
        if any(edit.layer == "relu1" for edit in edits):
            pictures *= 2
        return result


class ChannelsLast(Faulty):
    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run({tap: np.ascontiguousarray(run[tap].T.T.swapaxes(1, -1)) if tap.layer == "conv1" else run[tap] for tap in run})


class UnknownLayersAreEmpty(Faulty):
    def run(self, pictures, taps=(), edits=()):
        known = [tap for tap in map(as_tap, taps) if tap.layer in (*self.graph.names, "output")]
        return super().run(pictures, known, [edit for edit in edits if edit.layer in (*self.graph.names, "output")])


class TakesAnyPicture(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(np.resize(pictures, (len(pictures), *PICTURE)), taps, edits)


class GradientOfTheOtherSign(Faulty):
    def trace(self, pictures, taps=(), edits=()):
        trace = super().trace(pictures, taps, edits)
        pull = trace.pullback
        trace.pullback = lambda seeds, wrt: {name: -each for name, each in pull(seeds, wrt).items()}
        return trace


class GradientOfAnotherCall(Faulty):
    """Right for one layer at a time; of several of the same shape, each gets that of the next."""

    def trace(self, pictures, taps=(), edits=()):
        trace = super().trace(pictures, taps, edits)
        shapes = {as_tap(tap).layer: trace[tap].shape for tap in taps}

        class Mixed:
            __getitem__ = trace.__getitem__

            def pullback(self, seeds, wrt):
                found = trace.pullback(seeds, wrt)
                like = {name: [other for other in shapes if shapes[other] == shapes.get(name) and other in found] for name in wrt}
                return {name: found[like[name][-1]] if like[name] else found[name] for name in wrt}

        return Mixed()


class GradientsCutOff(Faulty):
    """As guided backpropagation does; a gradient that looks reasonable and is none."""

    def trace(self, pictures, taps=(), edits=()):
        trace = super().trace(pictures, taps, edits)
        pull = trace.pullback
        trace.pullback = lambda seeds, wrt: {name: np.maximum(each, 0) for name, each in pull(seeds, wrt).items()}
        return trace


class TraceWithoutEdits(Faulty):
    def trace(self, pictures, taps=(), edits=()):
        del edits
        return super().trace(pictures, taps)


class HalfAnEdit(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(pictures, taps, [Edit(each.layer, np.asarray(each.scale) * 0.99, each.shift) for each in edits])


class EditOfTheInputIsLost(Faulty):
    def run(self, pictures, taps=(), edits=()):
        return super().run(pictures, taps, [each for each in edits if each.layer != "input"])


class HandsOnAnother(Faulty):
    """The next layer receives another array than the one that is read."""

    def run(self, pictures, taps=(), edits=()):
        run = super().run(pictures, taps, edits)
        return Run({tap: run[tap] + 0.1 * (run[tap] > 0) if tap.layer == "conv1" else run[tap] for tap in run})


class ForgetsTheFirstEdits(Faulty):
    def hold(self, pictures, layer, edits=()):
        del edits
        return super().hold(pictures, layer)


class HoldsOnlyTheLayer(Faulty):
    """What flows past the cut on another way is lost: of `add`, only what conv2 gives is held."""

    def hold(self, pictures, layer, edits=()):
        held = super().hold(pictures, layer, edits)
        if layer == "conv2":
            held._values["pool1"] = held._values["pool1"] * 0
        return held


class RepeatsTheBatch(Faulty):
    """a, b, a, b where a, a, b, b is asked for."""

    def hold(self, pictures, layer, edits=()):
        held = super().hold(pictures, layer, edits)
        run = held.run

        def turned(taps=(), edits=(), *, repeat=1):
            order = np.arange(len(pictures) * repeat).reshape(len(pictures), repeat).T.ravel()
            found = run(taps, edits, repeat=repeat)
            return Run({tap: found[tap][order] for tap in found})

        held.run = turned
        return held


class GoesBackBeforeTheCut(Faulty):
    def hold(self, pictures, layer, edits=()):
        held, first = super().hold(pictures, layer, edits), list(edits)
        held.run = lambda taps=(), edits=(), repeat=1: self.run(np.repeat(pictures, repeat, 0), taps, [*first, *edits])
        return held


class GivesWhatItHolds(Faulty):
    def hold(self, pictures, layer, edits=()):
        held = super().hold(pictures, layer, edits)
        held.value = held._values[layer]
        return held


class PutsOnesAround(Faulty):
    def local(self, layer):
        part = super().local(layer)
        return part and dataclasses.replace(part, edge=1.0)


FAULTS = {
    PutsOnesAround: "a layer makes of parts what it makes of the whole",
    ForgetsTheFirstEdits: "holding changes nothing",
    HoldsOnlyTheLayer: "holding changes nothing",
    RepeatsTheBatch: "repeating what is held equals repeating the pictures",
    GoesBackBeforeTheCut: "what is held refuses what lies before it",
    GivesWhatItHolds: "holding leaves nothing behind",
    HalfAnEdit: "an identity edit changes nothing",
    EditOfTheInputIsLost: "an edit of the input is another input",
    HandsOnAnother: "what is read is what the next layer received",
    ARowThatCannotBeRead: "every layer can be read",
    RowsOutOfOrder: "the rows are numbered and named apart",
    WrongShapeInTheTable: "shapes in the layer table are those read",
    ChannelsLast: "shapes in the layer table are those read",
    WrongParameterCount: "parameter counts equal the weights given",
    ReadingDisturbs: "reading changes nothing",
    DropsOut: "the same call twice gives the same",
    OverwrittenByTheNextLayer: "stopping early gives the same as running to the end",
    GivesMoreThanAsked: "without taps the output is given and with taps only those",
    ReducesOverTheBatch: "reducing on the device equals reducing here",
    TakesTheLastMaximum: "of equal values the first is the maximum",
    NormalisesOverTheBatch: "a batch equals its pictures one by one",
    ReadBeforeTheEdit: "an edit is what is read",
    EditsIgnored: "an edit reaches what follows",
    LastEditWins: "several edits of one layer act in order",
    EditOfAUnitSpreads: "an edit of a unit leaves the others alone",
    EditsStay: "nothing is left behind",
    WritesIntoThePictures: "nothing is left behind",
    GivesItsOwnArrays: "arrays are float32 contiguous and the receivers own",
    Doubles: "arrays are float32 contiguous and the receivers own",
    UnknownLayersAreEmpty: "an unknown layer names its neighbours",
    TakesAnyPicture: "a wrong picture shape is refused",
    GradientOfTheOtherSign: "pullback is the derivative",
    GradientsCutOff: "pullback is linear in its seeds",
    GradientOfAnotherCall: "a gradient does not depend on what else is tapped",
    TraceWithoutEdits: "a trace reads what a run reads",
}


@pytest.mark.parametrize("faulty", FAULTS, ids=lambda faulty: faulty.__name__)
def test_a_fault_breaks_its_law(faulty, pictures):
    law = laws()[FAULTS[faulty].replace(" ", "_")]
    law(FakeEngine(), pictures.copy())
    with pytest.raises((AssertionError, UnknownLayer)):
        law(faulty(), pictures.copy())
    with pytest.raises(AssertionError) as caught:
        check_engine(faulty(), pictures)
    assert str(caught.value).split(":")[0].replace(" ", "_") in laws()


def test_every_law_is_broken_by_a_fault():
    """A law that nothing breaks says nothing."""
    assert {name.replace("_", " ") for name in laws()} == set(FAULTS.values())


def test_laws_on_gradients_do_not_concern_an_engine_without(pictures):
    class Plain:
        def __init__(self):
            self._fake = FakeEngine()
            self.graph, self.framework = self._fake.graph, "plain"
            self.run, self.weights = self._fake.run, self._fake.weights

    assert not isinstance(Plain(), Differentiable)
    assert check_engine(Plain(), pictures) == [name for name, law in laws().items() if law.__annotations__["engine"] == "Engine"]


def test_the_laws_need_pictures_that_differ(pictures):
    with pytest.raises(InputError, match="two pictures"):
        check_engine(FakeEngine(), pictures[:1])
    with pytest.raises(InputError, match="two pictures"):
        check_engine(FakeEngine(), np.repeat(pictures[:1], 2, 0))


# The vocabulary


def test_positions_and_shares_by_hand():
    maps = np.array([[[[0, 2], [2, 1]], [[0, -1], [0, -3]]]], np.float32)  # one picture, two units
    assert reduced(maps, "argmax").tolist() == [[1, 0]]  # of equal values the first, row by row
    assert reduced(maps, "active").tolist() == [[0.75, 0]]
    units = np.array([[3, -1]], np.float32)
    assert [reduced(units, each).tolist() for each in ("max", "argmax", "active")] == [[[3, -1]], [[0, 0]], [[1, 0]]]


def test_what_was_not_read_is_refused_and_what_was_is_named(pictures):
    run = FakeEngine().run(pictures, ["conv1", Tap("conv1", "mean")])
    np.testing.assert_array_equal(run[Tap("conv1", "mean")], reduced(run["conv1"], "mean"))
    with pytest.raises(InputError, match="'relu1'.*What was read: 'conv1'"):
        run["relu1"]
    with pytest.raises(UnknownLayer, match="Did you mean .*'conv1'"):
        FakeEngine().graph["conv9"]
