"""Pictures in folders named after digits are scored, and pictures that are unlike the training data are told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from mnistlib.core.errors import RunError
from mnistlib.data.synthetic import examples
from mnistlib.evaluation.calibration import KEPT, NOT_LIKE_A_DIGIT, NOT_SURE_ENOUGH, Calibration, save_calibration
from mnistlib.imaging.framing import rasterize
from mnistlib.inference.batch_summary import (
    compare_with_validation,
    describe_labels,
    folder_label,
    label_confusion,
    label_metrics,
    unlike_training,
)
from mnistlib.inference.prediction_table import prediction_rows, save_predictions_csv, worst_first
from mnistlib.inference.predictor import Prediction, load_predictor
from mnistlib.inference.terminal_output import predict_files, results_message
from mnistlib.reporting.plots.inference import plot_what_the_model_saw
from mnistlib.reporting.plots.style import RED
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build, save_model

INK, BLANK = np.ones((28, 28), np.uint8), np.zeros((28, 28), np.uint8)
CALIBRATION = Calibration(1.0, 0.9, 3.0, 0.96, 0.001)
UNLABELED = Path("scans/a.png")


def answer(digit, confidence=0.9, reason="", image=INK):
    probabilities = np.full(10, (1 - confidence) / 9)
    probabilities[digit] = confidence
    return Prediction(digit, probabilities, not reason, image, reason)


FOUR = [
    (Path("d/3/right.png"), answer(3)),
    (Path("d/3/wrong.png"), answer(5)),
    (Path("d/4/unsure.png"), answer(9, 0.4, NOT_SURE_ENOUGH)),
    (Path("d/4/unread.png"), answer(0, 0.1, "not a picture", BLANK)),
    (UNLABELED, answer(1)),
]
ROWS = prediction_rows(*zip(*FOUR, strict=True))


@pytest.mark.parametrize(("path", "label"), [("d/3/a.png", "3"), ("d/03/a.png", ""), ("d/10/a.png", ""), ("a.png", "")])
def test_the_folder_of_a_picture_names_its_digit(path, label):
    assert folder_label(Path(path)) == label


def test_labels_are_a_column_where_there_are_any():
    assert [row["label"] for row in ROWS] == ["3", "3", "4", "4", ""]
    assert "label" not in prediction_rows([UNLABELED], [answer(1)])[0]


def test_labeled_pictures_are_scored_by_hand_and_by_scipy():
    scores = label_metrics(ROWS)
    interval = binomtest(1, 4).proportion_ci(method="wilson")
    assert scores == {
        "infer_labeled": 4,
        "infer_accuracy": 0.25,
        "infer_accuracy_low": pytest.approx(interval.low),
        "infer_accuracy_high": pytest.approx(interval.high),
        "infer_coverage": 0.5,
        "infer_selective_risk": 0.5,
    }
    expected = "4 pictures in folders named after digits: accuracy 25.0 % (95 % interval 4.6 % to 69.9 %)"
    assert describe_labels(scores) == f"{expected}; accepted 50.0 %, of which 50.0 % wrong"
    matrix = label_confusion(ROWS)
    assert {(i, j): matrix[i, j] for i, j in np.argwhere(matrix).tolist()} == {(3, 3): 1, (3, 5): 1, (4, 9): 1}


def test_without_labels_nothing_is_scored():
    rows = prediction_rows([UNLABELED], [answer(1)])
    assert label_metrics(rows) == {}
    assert describe_labels({}) == ""
    assert label_confusion(rows).sum() == 0


def test_the_most_confident_error_comes_first_and_then_what_is_rejected():
    answers = [
        ("d/1/right.png", answer(1)),
        ("d/1/unsure.png", answer(1, 0.5, NOT_SURE_ENOUGH)),
        ("d/1/strange.png", answer(1, 0.99, NOT_LIKE_A_DIGIT)),
        ("d/2/wrong.png", answer(7, 0.95)),
        ("d/2/very wrong.png", answer(7, 0.99)),
    ]
    paths, ordered = worst_first([Path(name) for name, _ in answers], [p for _, p in answers])
    assert [path.stem for path in paths] == ["very wrong", "wrong", "strange", "unsure", "right"]
    assert [p.confidence for p in ordered] == pytest.approx([0.99, 0.95, 0.99, 0.5, 0.9])


def test_the_sheet_marks_errors_with_their_label():
    figure = plot_what_the_model_saw(*zip(*FOUR, strict=True), 10)
    titles = {axes.get_title(): axes.title.get_color() for axes in figure.axes if axes.get_title()}
    assert titles["right\n3 · 90.0 %"] == "black"
    assert (
        titles["wrong\n3 → 5 · 90.0 %"]
        == titles["unsure\n4 → 9 · 40.0 %"]
        == titles["unread\n? · not a picture"]
        == RED
    )


def batch(accepted, strange, unsure):
    counts = {"": accepted, NOT_LIKE_A_DIGIT: strange, NOT_SURE_ENOUGH: unsure}
    reasons = [reason for reason, count in counts.items() for _ in range(count)]
    paths = [Path(f"{i}.png") for i in range(len(reasons))]
    return prediction_rows(paths, [answer(1, 0.9, reason) for reason in reasons])


def test_shares_are_set_beside_those_of_the_validation_set():
    rows = [*batch(6, 3, 1), *prediction_rows([Path("x.png")], [answer(0, 0.1, "not a picture", BLANK)])]
    compared = compare_with_validation(rows, CALIBRATION)
    assert [row["share"] for row in compared] == [0.6, 0.3, 0.1]
    assert [row["validation set"] for row in compared] == pytest.approx([0.96, 1 - KEPT, KEPT - 0.96])
    assert {row["of"] for row in compared} == {10}


def test_pictures_far_from_the_validation_set_are_told_with_those_that_show_it():
    text = unlike_training(batch(40, 50, 10), CALIBRATION)
    assert text.startswith(
        "these pictures are unlike the training data: accepted 40.0 % (96.0 %), not like a digit 50.0 % (2.5 %)"
    )
    assert text.endswith("\n  such as 40.png, 41.png, 42.png")


@pytest.mark.parametrize(
    ("counts", "why"),
    [((94, 4, 2), "as in validation"), ((85, 12, 3), "chance"), ((0, 9, 0), "too few"), ((0, 0, 0), "none")],
)
def test_nothing_is_said_of_others(counts, why):
    assert unlike_training(batch(*counts), CALIBRATION) == ""


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    kept = Run("mine")
    save_model(kept, build(Architecture((4, 8, 16), 32), 0), {"dataset": "mnist"})
    save_calibration(kept, Calibration(1.0, 0.0, 1e5, 1.0, 0.0))  # every picture is rejected
    return kept


def test_the_terminal_says_both_from_the_table_and_at_once(run, tmp_path, capsys):
    for i in range(12):
        place = tmp_path / "labeled" / str(i % 3)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rasterize(examples()[i % 3])).save(place / f"{i}.png")
    paths = sorted((tmp_path / "labeled").rglob("*.png"))
    predictions = load_predictor("mine").files(paths)
    save_predictions_csv(run, prediction_rows(paths, predictions))
    right = sum(p.digit == int(path.parent.name) for path, p in zip(paths, predictions, strict=True))
    _, scored, unlike, shown, *_ = results_message(run)[0].splitlines()
    assert scored.startswith(f"12 pictures in folders named after digits: accuracy {right / 0.12:.1f} %")
    assert unlike.startswith("these pictures are unlike the training data: accepted 0.0 % (100.0 %)")
    predict_files([str(tmp_path / "labeled")], str(run.folder), as_json=False)
    assert capsys.readouterr().out.splitlines()[-3:] == [scored, unlike, shown]


def test_a_table_with_short_lines_is_damaged_not_a_crash(run):
    path = save_predictions_csv(run, batch(0, 20, 0))
    path.write_text("accepted,digit,rejection_reason,file\n" + "False,1,not like a digit\n" * 20)
    with pytest.raises(RunError, match="missing or damaged"):
        results_message(run)
