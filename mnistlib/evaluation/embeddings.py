"""Embeddings of the test set and their projections by PCA and t-SNE."""

from __future__ import annotations

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_arrays
from mnistlib.runs.layout import Run


def save_embeddings(run: Run, embeddings: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Write `reports/embeddings/embeddings.npz`.

    Args:
        run: the run to write into.
        embeddings: float N×D.
        labels, predictions: int N of the test set, in its order.

    Raises:
        RunError: when the file cannot be written.
    """
    write_arrays(
        run.embeddings,
        embeddings=embeddings.astype(np.float32),
        labels=np.asarray(labels, np.int64),
        predictions=np.asarray(predictions, np.int64),
        indices=np.arange(len(labels)),
    )


def save_tsne(run: Run, points: np.ndarray, indices: np.ndarray) -> None:
    """Write t-SNE points N×2 and their indices into the test set, int N, for the front page. Raises RunError."""
    write_arrays(run.tsne, points=points.astype(np.float32), indices=np.asarray(indices, np.int64))


def project_pca(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components N×2 of embeddings N×D, and their shares of variance."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=0)
    return pca.fit_transform(embeddings), pca.explained_variance_ratio_


def stratified_sample(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return sorted indices of about `count` of the labels, as many of each class where possible; seeded."""
    generator = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = max(1, count // len(classes))
    chosen = [generator.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
    return np.sort(np.concatenate(chosen))


def project_tsne(embeddings: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Project embeddings N×D by t-SNE (van der Maaten & Hinton 2008), initialized with PCA.

    Returns:
        Points float32 N×2.

    Raises:
        RunError: when N is not above `perplexity`.
    """
    from sklearn.manifold import TSNE

    if perplexity >= len(embeddings):
        raise RunError(f"features.tsne_perplexity is {perplexity}; it must be below the {len(embeddings)} points shown")
    return TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=750).fit_transform(embeddings)


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray, neighbours: int) -> float:
    """Return the leave-one-out accuracy, 0…1, of a majority vote of nearest `neighbours` among points N×D."""
    from scipy.stats import mode
    from sklearn.neighbors import KNeighborsClassifier

    points = np.ascontiguousarray(points, np.float32)  # scikit-learn then compares in chunks
    model = KNeighborsClassifier(min(neighbours, len(labels) - 1)).fit(points, labels)
    nearest = model.kneighbors(return_distance=False)
    return float((mode(np.asarray(labels)[nearest], axis=1).mode == labels).mean())
