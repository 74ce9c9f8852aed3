"""Embeddings and their maps."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_arrays
from mnistlib.evaluation import embeddings as ft
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.fixture(scope="module")
def islands():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 20)
    centres = generator.normal(size=(10, 16)) * 10
    return (centres[labels] + generator.normal(size=(200, 16))).astype(np.float32), labels


def test_pca_is_that_of_the_covariance(islands):
    points, shares = ft.project_pca(islands[0])
    values = np.linalg.eigvalsh(np.cov(islands[0].T))[::-1]
    assert shares == pytest.approx(values[:2] / values.sum(), rel=1e-4)
    assert points.var(0, ddof=1) == pytest.approx(values[:2], rel=1e-4)
    assert PCA(2).fit(islands[0]).n_components_ == 2


def test_tsne_keeps_islands_apart(islands):
    points = ft.project_tsne(*[islands[0]], perplexity=10, seed=0)
    assert points.shape == (200, 2)
    assert KNeighborsClassifier(3).fit(points, islands[1]).score(points, islands[1]) > 0.97


def test_tsne_with_too_few_points_is_refused(islands):
    with pytest.raises(RunError, match="tsne_perplexity"):
        ft.project_tsne(islands[0][:20], perplexity=30, seed=0)


def test_sample_is_the_same_number_of_each_class(islands):
    chosen = ft.stratified_sample(islands[1], 50, seed=0)
    assert np.bincount(islands[1][chosen]).tolist() == [5] * 10
    assert len(set(chosen)) == 50


def test_neighbours_leave_the_point_itself_out():
    points = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert ft.neighbour_accuracy(points, np.array([0, 0, 1, 1]), 1) == 1.0
    assert ft.neighbour_accuracy(points, np.array([0, 1, 0, 1]), 1) == 0.0


def test_embeddings_are_kept_whole(islands, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    run = Run("r")
    ft.save_embeddings(run, islands[0], islands[1], islands[1])
    embeddings, indices = read_arrays(run.embeddings, ["embeddings", "indices"], hint="")
    assert np.array_equal(embeddings, islands[0])
    assert indices.tolist() == list(range(200))
