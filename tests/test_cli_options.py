"""Options that would do nothing are refused, and what is no option at all: one sentence, exit 2, and nothing is written."""

import pytest
import typer
from test_cli import convscope, picture, run  # noqa: F401

from convscope import cli
from convscope.cli.commands import app

COMMANDS = typer.main.get_command(app).commands


def single(command):
    """Options with one value."""
    return [
        each
        for each in command.params
        if each.param_type_name == "option" and not each.multiple and not each.is_flag and each.opts
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_with_one_value_is_given_once(convscope, name, tmp_path):  # noqa: F811
    for option in single(COMMANDS[name]):
        written = max(option.opts, key=len)
        status, out, error = convscope(name, option.opts[0], "1", option.opts[-1], "2")
        assert (status, out) == (2, ""), written
        assert error == f"convscope: '{written}' has one value, but received it 2 times. Give it once.\n"
    assert list(tmp_path.iterdir()) == []


NOTHING = [
    ("filters block1_conv1 --rgb -o x.csv", "--rgb does nothing to numbers (.csv)"),
    ("filters block1_conv1 --first 3 --channels 2 -o x.npz", "--first and --channels do nothing to numbers (.npz)"),
    ("filters block1_conv1 --json --first 3", "--first does nothing to --json"),
    ("filters block1_conv1 --rgb --channels 2", "--channels does nothing with --rgb"),
    ("ablate --at block5_conv3 --units 3 --together -o x.png", "--out does nothing with --together"),
    ("ablate --at block5_conv3 --together --target cat --most 3", "--target and --most do nothing with --together"),
    ("ablate --at block5_conv3 --units 3 --over a", "--over does nothing where zero stands for a unit"),
    ("ablate --at block5_conv3 --units 3 --seed 1", "--seed does nothing where no maps are drawn"),
    ("ablate --at block5_conv3 --units 3 --first 1", "first= is of a folder with a folder per class"),
    ("explain --method cam --upsample nearest -o x.npz", "--upsample does nothing to values (.npz)"),
    ("explain --method occlusion --upsample nearest", "--upsample does nothing to what occlusion says"),
    ("overlay --at block1_conv1,block2_conv1", "One layer is drawn, but 'block1_conv1,block2_conv1' is 2: block1_conv1, block2"),
    ("crops --at block1_*", "One layer is drawn, but 'block1_*' is"),
    ("overlay --units 3 --first 2", "--first does nothing beside --units"),
    ("layers --partial", "--partial is of --weights"),
    ("layers --architecture timm:resnet18", "--architecture is of a file of weights, but 'demo' says"),
]


@pytest.mark.parametrize(("line", "says"), NOTHING)
def test_an_option_that_would_do_nothing_is_refused(convscope, tmp_path, line, says):  # noqa: F811
    status, out, error = convscope(*line.split())
    assert (status, out) == (2, "")
    assert error.startswith(f"convscope: {says}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("maps --frist 3", "No such option: --frist"),
        ("maps --first x", "Invalid value for '--first': "),
        ("overlay --first 0", "Invalid value for '--first': "),
        ("filters", "Missing argument '"),
        ("maps --at", "Option '--at' requires an argument"),
        ("layers a", "Got unexpected extra argument"),
        ("mpas", "No such command 'mpas'"),
    ],
)
def test_what_is_no_option_is_one_sentence_with_what_to_do(convscope, line, says):  # noqa: F811
    status, out, error = convscope(*line.split())
    assert (status, out) == (2, "")
    assert error.startswith(f"convscope: {says}")
    assert error.count("\n") == 1
    assert line.split()[1:] == [] or line.split()[1] in error  # what was received
    command = "" if "mpas" in line else f" {line.split()[0]}"
    assert error.endswith(f". 'convscope{command} --help' lists what there is.\n")


def test_without_a_word_there_is_the_help(convscope):  # noqa: F811
    status, out, error = convscope()
    assert status == 2
    assert "Usage: convscope [OPTIONS] COMMAND" in out + error
    assert "Traceback" not in error
    assert convscope("--version")[0] == convscope("maps", "--help")[0] == 0


def test_what_went_well_ends_with_zero(monkeypatch):
    monkeypatch.setattr("sys.argv", ["convscope", "layers"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0


def test_json_writes_the_file_that_was_asked_for(convscope, tmp_path):  # noqa: F811
    status, out, _ = convscope("filters", "block1_conv1", "--json", "-o", "x.csv")
    assert status == 0
    assert '"file": "x.csv"' in out
    assert (tmp_path / "x.csv").is_file()
