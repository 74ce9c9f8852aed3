"""What the network has learnt: embeddings, and their maps by PCA and t-SNE."""

from __future__ import annotations

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_arrays
from mnistlib.runs.layout import Run


def save_embeddings(run: Run, embeddings: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Write embeddings float32 N×D, labels, predictions and indices into the test part to `.npz`."""
    write_arrays(
        run.embeddings,
        embeddings=embeddings.astype(np.float32),
        labels=np.asarray(labels, np.int64),
        predictions=np.asarray(predictions, np.int64),
        indices=np.arange(len(labels)),
    )


def save_tsne(run: Run, points: np.ndarray, indices: np.ndarray) -> None:
    """Write points N×2 of t-SNE, float32, and the indices of their pictures in the test part, for the front page."""
    write_arrays(run.tsne, points=points.astype(np.float32), indices=np.asarray(indices, np.int64))


def project_pca(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions of most variance: points N×2 and the shares of variance they hold."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=0)
    return pca.fit_transform(embeddings), pca.explained_variance_ratio_


def stratified_sample(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sorted indices of about `count` examples, the same number of each class where there are as many."""
    generator = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = max(1, count // len(classes))
    chosen = [generator.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
    return np.sort(np.concatenate(chosen))


def project_tsne(embeddings: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """t-SNE (van der Maaten & Hinton 2008) from a PCA start: points N×2.

    Raises RunError when there are too few points for the perplexity.
    """
    from sklearn.manifold import TSNE

    if perplexity >= len(embeddings):
        raise RunError(f"features.tsne_perplexity is {perplexity}; it must be below the {len(embeddings)} points shown")
    return TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=750).fit_transform(embeddings)


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray, neighbours: int) -> float:
    """Share of points N×D whose nearest others, by majority, are of their class (leave one out)."""
    from sklearn.neighbors import KNeighborsClassifier

    points = np.ascontiguousarray(points, np.float32)  # of which scikit-learn compares a few at a time
    model = KNeighborsClassifier(min(neighbours, len(labels) - 1)).fit(points, labels)
    nearest = model.kneighbors(return_distance=False)
    votes = np.apply_along_axis(lambda row: np.bincount(row, minlength=10), 1, np.asarray(labels)[nearest])
    return float((votes.argmax(1) == labels).mean())
