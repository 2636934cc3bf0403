"""What a scan shows of a picture: the part that acted on the position, as gradients say, cut out of what the network received."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")

from torch import nn  # noqa: E402

import convscope  # noqa: E402
from convscope.pictures import prepare  # noqa: E402
from convscope.scan.crops import LARGE  # noqa: E402

SIZE = 40, 56


def steps():
    """As awkward as padding, strides and dilations get; maps of the last two see more than half of the picture's height."""
    return nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.ReLU(),
    nn.Conv2d(4, 4, 3, padding=(2, 0), dilation=2), nn.ReLU(),
    nn.AvgPool2d(2, ceil_mode=True), nn.ZeroPad2d((0, 1, 2, 0)),
    nn.Conv2d(4, 5, (3, 1), stride=(1, 2)), nn.ReLU(),
    nn.ConvTranspose2d(5, 4, 2, stride=2), nn.ReLU(),
    nn.Conv2d(4, 6, 3, padding="same"), nn.ReLU(),
)  # fmt: skip


def pictures(folder):
    """Bars in the corners and a spot somewhere, of several sizes, three of them turned by what their EXIF says."""
    rng = np.random.default_rng(1)
    for number, (height, width) in enumerate([(60, 90), (90, 60), (50, 50)] * 2):
        pixels = np.full((height, width, 3), 40, np.uint8)
        pixels[: height // 4, : width // 4], pixels[-height // 4 :, -width // 4 :] = (255, 0, 0), (0, 0, 255)
        y, x = rng.integers(5, height - 10), rng.integers(5, width - 10)
        pixels[y : y + 6, x : x + 6] = 255
        about = Image.Exif()
        about[0x0112] = [1, 3, 6, 8, 2, 1][number]
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=95, exif=about)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    pictures(folder)
    torch.manual_seed(0)
    module = nn.Sequential(*steps(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).eval()
    net = convscope.open(module, picture_shape=(3, *SIZE), preprocess=f"0..1 {SIZE[0]}x{SIZE[1]}")
    return net, folder, net.scan(folder, out=folder / "scan", k=6, batch=4)


def acts(module, y, x):
    """top, left, bottom, right of what acts on a position, None where that is nothing."""
    picture = torch.rand(1, 3, *SIZE, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(picture)[0, :, y, x].sum(), picture)
    rows, columns = (gradient.abs().sum((0, 1, axis)).nonzero().ravel().tolist() for axis in (3, 2))
    return (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if rows else None


@pytest.fixture(scope="module")
def positive():
    """The steps with weights that let nothing cancel out."""
    module = steps()
    for values in module.parameters():
        values.data = values.data.abs() + 0.1
    return module


def test_a_crop_is_what_acts_on_its_position_or_the_middle_of_that(found, positive):
    _, _, scan = found
    cut = blind = 0
    for layer in scan.layers:
        part, field = scan.plan[layer], scan.field(layer)
        module = positive[: int(part.read_at) + 1]
        measured = {place: acts(module, *place) for place in np.ndindex(*part.spatial)}
        for place in (each for each, seen in measured.items() if seen is None):  # nothing but padding: on the right
            blind += 1
            left, right = field.box(*place)[1::2]
            assert 0.9 * SIZE[1] < left < right <= SIZE[1]
        for axis, side in enumerate(SIZE):
            ends = {place: (seen[axis], seen[axis + 2]) for place, seen in measured.items() if seen}
            large = max(stop - start for start, stop in ends.values()) > LARGE * side
            for place, (start, stop) in ends.items():
                box = field.box(*place)[axis::2]
                if not large:
                    assert box == (start, stop)
                    continue
                cut += 1
                assert start <= box[0] < box[1] <= stop
                if start > 0 and stop < side and box[0] > 0 and box[1] < side:
                    assert abs(sum(box) - start - stop) <= 4  # twice two pixels: after a transposed layer places stand apart
        assert ("the middle of what it sees" in field.words) == (layer in ("6", "8", "10")), layer
    assert cut
    assert blind


def test_crops_are_cut_out_of_what_the_network_received(found):
    net, folder, scan = found
    checked = 0
    for layer in scan.layers:
        for unit in range(scan.plan[layer].units):
            top = scan.top(layer, unit)
            assert [crop is None for crop in top.crops()] == (top.rows["value"] == 0).tolist()
            for name, crop, (upper, left, lower, right) in zip(top.rows["name"], top.crops(), top.boxes(), strict=True):
                if crop is None:
                    continue
                checked += 1
                received = net.preprocess.undo(prepare(folder / name, net.preprocess).values[0])
                expected = received[upper:lower, left:right]
                assert crop.shape == expected.shape
                assert np.abs(crop.astype(int) - expected).mean() < 25  # WebP is near, a turned picture is not
    assert checked > 50
