"""net.explain and net.compare: results, drawings, the command line, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_cli import convscope as command  # noqa: F401 - a fixture
from test_cli import picture as picture_file  # noqa: F401

import convscope
from convscope.cli.explain import settings_of
from convscope.draw.panels import Panels, alone, blended
from convscope.engines.fake import FakeEngine
from convscope.errors import InputError, UnknownLayer, Unsupported, WrongClass, WrongOption
from convscope.methods.explain import METHODS, SAYS
from convscope.network import Network
from convscope.pictures import Picture, Preprocess
from convscope.results import NetworkInfo
from convscope.targets import Unit

LABELS = ["cat", "dog", "car"]
FAST = {"smooth-grad": {"samples": 3}, "var-grad": {"samples": 3}, "rise": {"masks": 20}, "extremal": {"steps": 5}}
FAST |= {"integrated-gradients": {"steps": 5}, "expected-gradients": {"samples": 4, "among": np.zeros((2, 3, 8, 8), np.float32)}}


@pytest.fixture(scope="module")
def net():
    engine = FakeEngine()
    info = NetworkInfo("fake", "made by hand", engine.framework, engine.graph)
    return Network(engine, info, Preprocess(size=(8, 8)), LABELS)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(20, 255, (8, 8, 3), np.uint8)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("deconvnet", "guided-backprop", "lrp")])
def test_every_method_gives_one_map_per_picture_and_can_be_drawn(net, picture, method):
    why = net.explain([picture, picture[::-1].copy()], method, target="dog", **FAST.get(method, {}))
    shape = {"input": (2, 3, 8, 8), "picture": (2, 8, 8), "layer": (2, 4, 4)}[METHODS[method].place]
    assert why.values.shape == shape
    assert why.score.shape == (2,)
    assert (why.delta is None) == (why.check == "")
    if METHODS[method].sign in ("positive", "magnitude"):
        assert (why.values >= 0).all()
    assert why.sheet(picture=1).render().ndim == 3
    assert "dog" in why.target
    assert method in repr(why)


def test_pictures_together_are_as_pictures_alone(net, picture):
    other = picture[:, ::-1].copy()
    both = net.explain([picture, other], "hires-cam")
    for number, each in enumerate((picture, other)):
        alone_ = net.explain(each, "hires-cam")
        np.testing.assert_array_equal(both.values[number], alone_.values[0])
        assert both.targets[number] == alone_.targets[0]


def test_several_layers_in_one_pass(net, picture):
    why = net.explain(picture, "grad-cam", at=["relu1", "conv2"])
    assert list(why.attributions) == ["relu1", "conv2"]
    assert why.layer == "conv2"
    np.testing.assert_array_equal(why["relu1"].values, net.explain(picture, "grad-cam", at="relu1").values)
    with pytest.raises(UnknownLayer):
        why["relu2"]


def test_the_units_for_and_against_are_ordered(net, picture):
    up, down = net.explain(picture, target=("dog", "car")).best()
    assert up == sorted(up, key=lambda pair: -pair[1])
    assert all(value > 0 for _, value in up)
    assert all(value < 0 for _, value in down)
    with pytest.raises(InputError, match="grad-cam"):
        net.explain(picture, "saliency").best()


def test_a_pixel_map_is_summed_over_channels_where_it_is_signed(net, picture):
    signed, size = net.explain(picture, "input-x-gradient"), net.explain(picture, "saliency")
    np.testing.assert_array_equal(signed.heat(), signed.values[0].sum(0))
    np.testing.assert_array_equal(size.heat(), size.values[0].max(0))


def test_a_unit_inside_is_explained_too(net, picture):
    why = net.explain(picture, "input-x-gradient", target=Unit("conv2", 1))
    assert why.score[0] == pytest.approx(net.maps(picture, at="conv2")["conv2"].values[0, 1].mean(), rel=1e-5)
    assert why.delta[0] == pytest.approx(0, abs=1e-5)  # no bias on the way but that of a dead unit


def test_baselines_by_name_are_what_the_network_receives(net, picture):
    black = np.zeros((8, 8, 3), np.uint8)
    named = net.explain(picture, "integrated-gradients", target=0, baseline="black", steps=3)
    by_hand = net.explain(
        picture, "integrated-gradients", target=0, baseline=net.preprocess.apply(Picture("black", black)), steps=3
    )
    np.testing.assert_allclose(named.values, by_hand.values, atol=1e-6)
    assert "baseline: black" in named.notes
    for each in ("white", "grey", "mean", "blur", 0.5, ["black", "white"]):
        assert abs(net.explain(picture, "integrated-gradients", baseline=each, steps=60).delta[0]) < 0.02


def test_with_a_given_magnitude_a_value_has_one_colour_on_every_figure(net, picture):
    why = net.explain(picture, "hires-cam", target="dog")
    peak = float(np.abs(why.values).max())
    assert why.sheet(full=3 * peak).peak == why.overlay(full=3 * peak).peak == 3 * peak
    larger = replace(why, attributions={"relu2": replace(why.attributions["relu2"], values=3 * why.values)})
    np.testing.assert_array_equal(larger.sheet(full=3 * peak).tiles[1], why.sheet(full=peak).tiles[1])
    np.testing.assert_array_equal(larger.overlay(full=3 * peak).tiles[0], why.overlay(full=peak).tiles[0])
    assert "are drawn like the bar's ends" not in why.sheet(full=peak).caption
    share = float((np.abs(why.values) > peak / 2).mean())
    assert f"the greatest {share:.1%} of the values are drawn like the bar's ends" in why.sheet(full=peak / 2).caption
    for wrong in (0, -1, np.nan, "2"):
        with pytest.raises(InputError, match="above zero"):
            why.sheet(full=wrong)


def test_saving_keeps_the_values_and_where_they_come_from(net, picture, tmp_path):
    why = net.explain(picture, at=["relu1", "relu2"])
    with np.load(why.save(tmp_path / "why.npz")) as saved:
        np.testing.assert_array_equal(saved["values/relu2"], why.values)
        about = json.loads(str(saved["about"]))
    assert about["method"] == "grad-cam"
    assert about["layers"] == ["relu1", "relu2"]
    assert about["targets"] == list(why.targets)


def test_a_comparison_has_one_target_and_one_sheet(net, picture):
    found = net.compare(picture, ["saliency", "hires-cam", "eigen-cam"])
    assert found.names == ("saliency", "hires-cam", "eigen-cam")
    assert len({why.target for why in found}) == 1
    assert found.sheet().labels[0] == "the picture"
    np.testing.assert_array_equal(found["hires-cam"].values, net.explain(picture, "hires-cam").values)
    with pytest.raises(InputError, match="not compared"):
        found["rise"]
    with pytest.raises(InputError, match="one at a time"):
        net.compare([picture, picture], ["saliency"])
    assert len(net.compare(picture)) == 4


def test_a_sheet_says_that_red_speaks_for_the_answer_only_of_methods_of_which_it_does(net, picture):
    """A slope says where the score would rise; deconvnet, guided backpropagation and Eigen-CAM hardly look at the answer."""
    for method in METHODS:
        speaks = method not in ("saliency", "smooth-grad", "var-grad", "extremal", "deconvnet", "guided-backprop", "eigen-cam")
        assert ("speaks for it" in SAYS[METHODS[method].sign]) == speaks, method
    for method in ("eigen-cam", "smooth-grad", "occlusion"):
        for sheet in (net.explain(picture, method).sheet(), net.compare(picture, [method]).sheet()):
            assert SAYS[METHODS[method].sign] in sheet.subtitle


def test_a_comparison_says_of_each_method_on_a_line_what_its_own_sheet_does(net, picture):
    found = net.compare(picture, ["saliency", "eigen-cam", "hires-cam", "rise"])
    first, *lines = found.sheet().subtitle.split("\n")
    assert first == f"{found[0].target} is {found[0].score[0]:.4g}."
    assert len(lines) == len(found)
    for why, line in zip(found, lines, strict=True):
        assert line.startswith(why.name)
        assert SAYS[why.method.sign] in line
        assert ("check, " in line) == (why.delta is not None)
        assert all(said in line for said in (why.checked(), *why.notes))
    assert f"{found['hires-cam'].delta[0]:.3g}" in lines[2]
    assert found["saliency"].checked() == ""


def test_options_on_the_command_line_are_numbers_lists_or_words():
    assert settings_of(["window=8,12", "kept=0.25", "fill=white"]) == {"window": [8, 12], "kept": 0.25, "fill": "white"}
    for wrong in ("window", "=3", "window="):
        with pytest.raises(InputError, match="--set takes NAME=VALUE"):
            settings_of([wrong])


def test_a_map_of_zeros_says_so(net, picture):
    nothing = net.explain(picture, "saliency", target=Unit("relu1", 3))  # of the unit that is dead for every picture
    assert not nothing.values.any()
    assert any(note.startswith("every value at 'input' is zero") for note in nothing.notes)
    assert not any("is zero" in note for note in net.explain(picture, "saliency", target="cat").notes)
    green = np.zeros_like(picture)
    green[:, ::2, 1] = 255  # of which the red unit sees nothing
    one_of_two = net.explain([picture, green], "input-x-gradient", target=Unit("conv1", 0))
    assert [bool(values.any()) for values in one_of_two.values] == [True, False]
    assert any("at 'input' of pictures 1 is zero" in note for note in one_of_two.notes)


def test_a_network_without_maps_is_explained_by_the_picture_and_says_so():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    dense = convscope.open(layers, picture_shape=(3, 8, 8))
    given = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    why, asked = dense.explain(given), dense.explain(given, "saliency")
    np.testing.assert_array_equal(why.values, asked.values)
    assert why.name == "saliency"
    assert any("no layer has maps" in note for note in why.notes)
    assert not any("no layer has maps" in note for note in asked.notes)
    assert dense.compare(given).names == ("saliency", "integrated-gradients")
    with pytest.raises(InputError, match="No layer of this network has maps"):
        dense.explain(given, "grad-cam")


def test_what_cannot_be_asked_is_refused_with_a_way_out(net, picture):
    with pytest.raises(WrongOption, match="grad-cam"):
        net.explain(picture, "gradcam")
    with pytest.raises(WrongOption, match="samples"):
        net.explain(picture, "smooth-grad", sample=3)
    with pytest.raises(WrongClass, match="Did you mean 'cat'"):
        net.explain(picture, target="cta")
    for method, option, value in [("rise", "masks", "many"), ("rise", "seed", 0.5), ("rise", "kept", "half"),
                                  ("occlusion", "window", 8.5), ("occlusion", "window", "8"), ("smooth-grad", "samples", True),
                                  ("integrated-gradients", "tolerance", "small")]:  # fmt: skip
        with pytest.raises(InputError, match=f"The option '{option}' of {method} takes a.*number.*, but received"):
            net.explain(picture, method, **{option: value})
    given = np.asarray(net.explain(picture, "occlusion", window=(4, 4), target="dog").values)
    np.testing.assert_array_equal(given, net.explain(picture, "occlusion", window=np.int64(4), target="dog").values)
    with pytest.raises(Unsupported, match="KERAS_BACKEND=torch"):
        net.explain(picture, "guided-backprop")
    with pytest.raises(InputError, match="no layer"):
        net.explain(picture, "saliency", at="conv2")
    with pytest.raises(InputError, match="has no maps"):
        net.explain(picture, at="mean")
    with pytest.raises(WrongOption, match="blur"):
        net.explain(picture, "integrated-gradients", baseline="noise")
    with pytest.raises(InputError, match="among="):
        net.explain(picture, "expected-gradients")
    with pytest.raises(InputError, match="There is no picture 1"):
        net.explain(picture).overlay(picture=1)
    with pytest.raises(WrongOption, match="nearest"):
        net.explain(picture).overlay(upsample="cubic")


def test_on_onnx_what_needs_gradients_is_refused_and_the_rest_works():
    demo = convscope.open("demo")
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    with pytest.raises(Unsupported, match=r"score-cam.*via='torch'"):
        demo.explain(noise, "grad-cam")
    why = demo.explain(noise, target="cat")
    assert why.name == "cam"
    assert why.layer == "block5_relu3"
    assert abs(why.delta[0]) < 1e-5


def test_zero_is_white_and_the_ends_are_the_colours_of_the_map():
    heat = np.array([[-2.0, 0.0], [1.0, 2.0]], np.float32)
    drawn = alone(heat, (4, 4))
    assert tuple(drawn[0, 2]) == (247, 247, 247)
    assert tuple(drawn[0, 0]) == (5, 48, 97)
    assert tuple(drawn[3, 3]) == (103, 0, 31)


def test_where_nothing_speaks_the_picture_shines_through_in_grey():
    picture = np.full((4, 4, 3), 90, np.uint8)
    heat = np.zeros((2, 2), np.float32)
    np.testing.assert_array_equal(blended(picture, heat), picture)
    heat[0, 0] = 1
    nearest = blended(picture, heat, "nearest")
    assert (nearest[:2, :2, 0] > nearest[:2, :2, 2] + 50).all()
    np.testing.assert_array_equal(nearest[2:], picture[2:])
    broken = blended(picture, np.full((2, 2), np.nan, np.float32))  # which is not the same as nothing: it is magenta
    assert (broken[..., 1] < 20).all()
    assert (broken[..., [0, 2]] > 150).all()


def test_a_sheet_says_method_target_layer_scale_and_how_it_was_made_larger(net, picture):
    sheet = net.explain(picture, target="dog").sheet(upsample="nearest")
    assert "grad-cam" in sheet.title
    for words in ("'dog'", "relu2", "what speaks against is left out"):
        assert words in sheet.subtitle
    assert "drawn where they stand" in sheet.caption
    assert "of the nearest place" in sheet.caption
    assert sheet.peak == pytest.approx(net.explain(picture, target="dog").values.max())


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".jpg", ".webp"])
def test_panels_are_written_whole(net, picture, tmp_path, ending):
    path = net.explain(picture).overlay().save(tmp_path / f"why{ending}")
    assert path.stat().st_size > 1000
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(WrongOption):
        net.explain(picture).overlay().save(tmp_path / "why.gif")


def test_panels_of_several_sizes_are_refused():
    with pytest.raises(InputError, match="one size"):
        Panels([np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)], ("a", "b"), "t")
    with pytest.raises(InputError, match="one size"):
        Panels([], (), "t")
    assert Panels([np.zeros((2, 2, 3), np.uint8)], ("a",), "t").figure().axes


def test_explain_on_the_command_line(command, picture_file, tmp_path):  # noqa: F811
    status, out, _ = command("explain", picture_file, "--target", "cat", "-o", "why.png")
    assert status == 0
    assert "cam at 'block5_relu3', logit of 'cat'" in out
    assert "units for: " in out
    with Image.open(tmp_path / "why.png") as drawn:
        assert drawn.size[0] > 300
    status, out, _ = command("explain", picture_file, "--method", "rise", "--set", "masks=20", "--json", "-o", "why.npz")
    assert json.loads(out)["files"] == ["why.npz"]
    with np.load(tmp_path / "why.npz") as saved:
        assert saved["values/input"].shape == (1, 128, 128)


def test_compare_on_the_command_line(command, picture_file, tmp_path):  # noqa: F811
    status, out, _ = command("compare", picture_file, "--methods", "cam,eigen-cam", "--target", "cat", "--against", "tench")
    assert status == 2  # CAM is of one class
    assert not (tmp_path / "compare.png").exists()
    status, out, _ = command("compare", picture_file, "--methods", "cam,eigen-cam", "--target", "cat")
    assert status == 0
    assert out.rstrip().endswith("compare.png")
    answer = json.loads(command("compare", picture_file, "--methods", "cam,eigen-cam", "--target", "cat", "--json")[1])
    assert [each["method"] for each in answer] == ["cam", "eigen-cam"]
    assert all(each["files"] == ["compare.png"] for each in answer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "grad-cam"), "needs gradients"),
        (("--set", "masks"), "NAME=VALUE"),
        (("--target", "cta"), "Did you mean 'cat'"),
        (("--method", "rise", "--set", "cells=0"), "cells from 1 up"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_sentence(command, picture_file, arguments, words):  # noqa: F811
    status, _, error = command("explain", picture_file, *arguments)
    assert status == 2
    assert words in error
    assert "Traceback" not in error


def test_the_page_of_a_study_says_why(net, picture, tmp_path):
    maps = net.look([picture, picture[::-1].copy()])
    assert maps.why.name == "grad-cam"
    folder = maps.save(tmp_path / "study")
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Why this answer" in page
    for number, reason in enumerate(record["why"]):
        assert reason["target"] == maps.why.targets[number]
        assert reason["layer"] == "relu2"
        assert [unit for unit, _ in reason["for"]] == [unit for unit, _ in maps.why.best(number, most=8)[0]]
        for panel in reason["panels"]:
            with Image.open(folder / panel["file"]) as drawn:
                assert drawn.size == tuple(panel["size"][::-1])
        with Image.open(folder / reason["file"]) as drawn:
            assert drawn.size == tuple(reason["pixels"])


def test_a_page_without_a_reason_has_no_such_part(net, picture, tmp_path):
    maps = net.look(picture, why="none")
    assert maps.why is None
    assert "Why this answer" not in (maps.save(tmp_path / "study") / "index.html").read_text(encoding="utf-8")
    assert net.look(picture, why="saliency").why.name == "saliency"
    with pytest.raises(WrongOption):
        net.look(picture, why="magic")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_its_formula_and_has_its_paper_in_the_docs(name):
    from pathlib import Path

    page = (Path(__file__).parent.parent / "docs" / "attribution.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.partition("## Papers")[2].splitlines() if f"`{name}`" in line)
    author, year = METHODS[name].paper.split()[0], METHODS[name].paper.split()[-1]
    assert author in row
    assert year in row
    assert f"{author} " in METHODS[name].formula
    assert "0x" not in repr(METHODS[name])


def test_numbers_are_not_written_into_a_picture(net, tmp_path):
    with pytest.raises(InputError, match=r"Draw them first: .sheet\(\).save\('f.png'\)"):
        net.filters("conv1").save(tmp_path / "f.png")
    assert not list(tmp_path.iterdir())
