"""Pictures as points: compared with scikit-learn's own, and with sets whose answer is known."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from scans import CLASSES, LAYERS, network, write_pictures

from convscope.errors import InputError, MissingExtra, WrongOption
from convscope.scan.embeddings import Embedding, cka
from convscope.scan.result import Scan
from convscope.scan.table import Table

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'convscope[embed]'")


@pytest.fixture(scope="module")
def groups():
    """60 pictures in three groups far apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    values = (rng.normal(size=(60, 6)) + 12 * np.eye(6)[labels]).astype(np.float32)
    names = np.array([f"{number}.png" for number in range(60)], object)
    pictures = Table({"picture": np.arange(60), "name": names, "label": np.array([CLASSES[label] for label in labels], object)})
    return Embedding("layer", values, pictures), labels


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    write_pictures(folder / "p", 30)
    return network().scan(folder / "p", LAYERS, out=folder / "scan", features=LAYERS)


def test_principal_components_are_scikit_learns(groups):
    from sklearn.decomposition import PCA

    embedding, _ = groups
    ours, theirs = embedding.pca(3), PCA(3, svd_solver="full").fit(embedding.values.astype(np.float64))
    signs = np.sign((ours.directions * theirs.components_).sum(1))
    np.testing.assert_allclose(ours.directions, theirs.components_ * signs[:, None], atol=1e-9)
    np.testing.assert_allclose(ours.points, theirs.transform(embedding.values) * signs, atol=1e-4)
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, rtol=1e-9)


def test_principal_components_do_not_depend_on_the_blocks(groups, monkeypatch):
    embedding, _ = groups
    whole = embedding.pca(2).points
    monkeypatch.setattr("convscope.scan.embeddings.BLOCK", 7)
    np.testing.assert_allclose(Embedding("layer", embedding.values, embedding.pictures).pca(2).points, whole, atol=1e-4)


@pytest.mark.parametrize("way", ["tsne", "umap"])
def test_groups_that_are_far_apart_stay_apart(groups, way, monkeypatch):
    if way == "umap" and not find_spec("umap"):  # without importing it: that would import TensorFlow too
        pytest.skip("umap-learn is not installed: pip install 'convscope[embed]'")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes longer than these few points do in plain Python
    embedding, labels = groups
    points = embedding.tsne(perplexity=10) if way == "tsne" else embedding.umap(neighbours=8)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(1)] == labels).all()


def test_neighbours_are_those_of_a_plain_search(groups):
    embedding, _ = groups
    values = embedding.values.astype(np.float64)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    distances = 1 - unit @ unit[7]
    expected = [row for row in np.argsort(distances) if row != 7][:5]
    found = embedding.nearest(7, 5)
    assert found["picture"].tolist() == expected
    np.testing.assert_allclose(found["distance"], distances[expected], atol=1e-6)
    assert embedding.nearest("7.png", 5)["picture"].tolist() == expected
    assert embedding.nearest(embedding.values[7], 1)["picture"].tolist() == [7]  # values of a picture that is not in the set
    with pytest.raises(InputError, match="no picture 'x.png'"):
        embedding.nearest("x.png")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_faiss_finds_the_same_neighbours(groups, metric):
    pytest.importorskip("faiss", reason="faiss is not installed: pip install 'convscope[faiss]'")
    embedding, _ = groups
    for picture in (7, "40.png", embedding.values[3] + 1):
        one, other = (embedding.nearest(picture, 70, metric=metric, index=by) for by in ("scikit-learn", "faiss"))
        assert one["picture"].tolist() == other["picture"].tolist()
        np.testing.assert_allclose(one["distance"], other["distance"], atol=1e-3 if metric == "euclidean" else 1e-6)
    assert embedding.index(metric, "faiss") is embedding.index(metric, "faiss")
    with pytest.raises(WrongOption, match="faiss"):
        embedding.nearest(7, index="fais")
    with pytest.raises(WrongOption, match="cosine"):
        embedding.nearest(7, metric="cosinus")


def test_without_faiss_the_extra_is_named(groups, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    embedding = Embedding("layer", groups[0].values, groups[0].pictures)
    with pytest.raises(MissingExtra, match=r"convscope\[faiss\]"):
        embedding.nearest(7, index="faiss")


def test_a_probe_tells_groups_apart_and_noise_not(groups):
    embedding, _ = groups
    noise = np.random.default_rng(1).normal(size=embedding.values.shape).astype(np.float32)
    assert embedding.probe() == embedding.knn_accuracy() == 1
    assert Embedding("noise", noise, embedding.pictures).probe() < 0.75


def test_alignment_of_layers():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40, 5))
    turned = first @ np.linalg.qr(rng.normal(size=(5, 5)))[0] * 3 + 1  # the same in other axes
    assert cka(first, turned) == pytest.approx(1)
    assert cka(first, rng.normal(size=(40, 5))) < 0.5
    x, y = first - first.mean(0), np.square(first) - np.square(first).mean(0)
    centred = [each @ each.T for each in (x, y)]  # the definition: the angle between the matrices of similarities
    expected = (centred[0] * centred[1]).sum() / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    assert cka(first, np.square(first)) == pytest.approx(expected)


def test_a_curve_over_depth_and_the_alignment_of_a_scan(scan):
    curve = scan.depth()
    assert curve["layer"].tolist() == list(LAYERS)
    assert ((curve["probe"] >= 0) & (curve["probe"] <= 1)).all()
    alike = scan.alike()
    np.testing.assert_allclose(np.diag(alike), 1, atol=1e-6)
    assert alike[0, 1] == pytest.approx(1)  # conv1 and relu1 are read at the same place


def test_layers_of_two_networks_are_aligned_over_the_same_pictures(scan, tmp_path):
    changed = network().without({"conv1": [0, 2]}).scan(scan.folder.parent / "p", LAYERS, out=tmp_path / "scan", features=LAYERS)
    found = scan.alike(changed)
    assert found.shape == (len(LAYERS), len(LAYERS))
    similar = []
    for one in (scan.features("relu2"), changed.features("relu1")):
        centred = np.asarray(one, np.float64) - np.mean(one, 0, dtype=np.float64)
        similar.append(centred @ centred.T)
    expected = (similar[0] * similar[1]).sum() / np.linalg.norm(similar[0]) / np.linalg.norm(similar[1])
    assert found[LAYERS.index("relu2"), LAYERS.index("relu1")] == pytest.approx(expected)
    assert found[0, 0] < 0.999  # the networks are not the same
    write_pictures(tmp_path / "fewer", 12)
    with pytest.raises(InputError, match="these are of different ones"):
        scan.alike(network().scan(tmp_path / "fewer", LAYERS, out=tmp_path / "few", features=LAYERS))


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npz"])
def test_exported_features_are_the_scans(scan, tmp_path, ending):
    path = scan.embed("relu2").export(tmp_path / f"f{ending}")
    if ending == ".npz":
        values = np.load(path)["values"]
    else:
        import pandas

        table = pandas.read_parquet(path) if ending == ".parquet" else pandas.read_csv(path)
        assert table["name"].tolist() == scan.pictures["name"].tolist()
        values = table[[f"unit_{unit}" for unit in range(4)]].to_numpy()
    np.testing.assert_allclose(values, scan.features("relu2"), rtol=1e-6)


def test_concepts_make_up_the_maps_and_show_where(scan):
    found = scan.concepts("relu2", 3, first=20, k=4)
    assert found.directions.shape == (3, 4)
    assert (found.directions >= 0).all()
    assert 0.9 < found.explained <= 1  # sums of pairs of three maps that are not dead
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1, rtol=1e-4)
    for concept in range(3):
        assert set(found.top(concept).rows["name"]) <= set(scan.pictures["name"])
    values = found.top(0).rows["value"].tolist()
    assert values == sorted(values, reverse=True)
    assert all(crop is not None for crop in found.top(0).crops())
    with pytest.raises(InputError, match="no concept 3"):
        found.top(3)
    with pytest.raises(InputError, match="runs the network again"):
        Scan(scan.folder).concepts("relu2")
