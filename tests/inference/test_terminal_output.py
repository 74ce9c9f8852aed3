"""The answers in the terminal: `python -m mnistlib predict` from any folder, and the lines that make infer prints."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.data.synthetic import examples
from mnistlib.evaluation.calibration import Calibration, save_calibration
from mnistlib.imaging.framing import rasterize
from mnistlib.inference.prediction_table import prediction_rows, save_predictions_csv, write_examples
from mnistlib.inference.predictor import find_run, load_predictor
from mnistlib.inference.terminal_output import prediction_lines, print_predictions, results_message, trained_run
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build, save_model

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"torch", "sklearn", "matplotlib", "pydantic", "papermill", "IPython"}


def make_run(run: Run, threshold: float = 0.0) -> Run:
    save_model(run, build(Architecture((4, 8, 16), 32), 0), {"dataset": "mnist"})
    save_calibration(run, Calibration(1.0, threshold, 0.0, 1.0, 0.0))
    return run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    return make_run(Run("mine"))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder with a seven, a blank sheet and a text, and a page of text in a subfolder."""
    folder = tmp_path / "my pictures"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(255 - rasterize(examples()[1])).resize((200, 200)).save(folder / "a seven.png")
    Image.new("L", (200, 200), 255).save(folder / "blank.png")
    (folder / "text.png").write_text("no picture")
    (folder / "sub" / "notes.txt").write_text("no picture")
    return folder


def call(folder: Path, *arguments: str, project: Path = ROOT) -> subprocess.CompletedProcess:
    """Python as somebody in `folder` starts it, with the project's package."""
    env = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def predict(folder: Path, run: Run, *arguments: str) -> subprocess.CompletedProcess:
    return call(folder, "-X", "importtime", "-m", "mnistlib", "predict", "--run", str(run.folder), *arguments)


def words(done: subprocess.CompletedProcess) -> str:
    """What a person sees of it on stderr."""
    return "".join(line for line in done.stderr.splitlines(True) if not line.startswith("import time:"))


def test_a_picture_is_recognised_from_any_folder_without_torch(run, pictures):
    done = predict(pictures, run, "a seven.png", "text.png")
    expected = load_predictor(run.folder).files([pictures / "a seven.png"])[0]
    seven, text, total = done.stdout.splitlines()
    assert re.fullmatch(rf"a seven\.png  {expected.digit}  +{100 * expected.confidence:.1f} %", seven)
    assert re.fullmatch(r"text\.png     -           not a picture in a supported format", text)
    assert total == "2 pictures: 1 accepted, 0 rejected, 1 not readable"
    assert (done.returncode, words(done)) == (0, "")
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & SLOW


def test_a_folder_is_looked_into_and_the_answers_are_objects(run, pictures):
    done = predict(pictures.parent, run, "my pictures", "--json")
    assert words(done) == "1 file left out: .txt (1)\n"
    seven, blank, text = json.loads(done.stdout)
    assert seven["file"] == "my pictures/a seven.png"
    assert list(seven) == ["file", "digit", "confidence", "accepted", "reason", "run"]
    assert (seven["accepted"], seven["reason"], seven["run"]) == (True, "", "mine")
    assert 0 < seven["confidence"] <= 1
    assert seven["digit"] in range(10)
    for unread in (blank, text):
        assert (unread["digit"], unread["confidence"], unread["accepted"]) == (None, None, False)
        assert unread["reason"]


def test_exit_codes_tell_what_could_be_read(run, pictures):
    assert predict(pictures, run, "blank.png", "text.png").returncode == 1
    nowhere = predict(pictures, run, "nowhere.png")
    assert (nowhere.returncode, "there is no such file" in nowhere.stdout) == (1, True)
    assert predict(pictures, run).returncode == 2
    assert call(pictures, "-m", "mnistlib", "predicct", "a.png").returncode == 2
    missing = call(pictures, "-m", "mnistlib", "predict", "a seven.png", "--run", str(run.folder / "nowhere"))
    assert missing.returncode == 2
    assert re.search(r"nowhere holds no trained model: run make all in its own project", missing.stderr)
    assert "Traceback" not in missing.stderr


def test_a_rejected_answer_says_why(run, pictures):
    make_run(run, threshold=1.0)
    done = predict(pictures, run, "a seven.png")
    assert done.stdout.splitlines()[0].endswith("  rejected: not sure enough")
    assert done.returncode == 0


def test_a_run_is_named_or_refused(run):
    assert trained_run("mine") == Run("mine")
    with pytest.raises(RunError, match=r"holds no trained model: make all trains one, or use --run mine"):
        trained_run("default")
    with pytest.raises(RunError, match="RUN is"):
        trained_run("no such name")


def test_a_name_with_control_characters_is_one_plain_line(run, pictures):
    odd = pictures / "a\n\x1b[31m.png"
    (pictures / "a seven.png").rename(odd)
    (line,) = prediction_lines([odd], load_predictor("mine").files([odd]), {})
    assert "a\\n\\x1b[31m.png" in line
    assert line.isprintable()


def test_make_infer_prints_the_first_answers_and_what_else_there_is(run, pictures, capsys):
    for i in range(24):
        Image.fromarray(rasterize(examples()[1])).save(pictures / f"{i:02d}.png")
    print_predictions(run, f"'{pictures}'")
    *lines, more, left_out = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith(f"{pictures}/00.png  ")
    assert more == f"and 7 more pictures: all predictions will be in {run.inference}/predictions.csv"
    assert left_out == "1 file left out: .txt (1)"
    print_predictions(run, f"'{pictures}/01.png'")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_results_message_gives_whole_paths_and_an_exit_code(run, pictures):
    paths = [pictures / "a seven.png", pictures / "text.png", pictures / "blank.png"]
    predictions = load_predictor("mine").files(paths)
    save_predictions_csv(run, prediction_rows(paths, predictions))
    text, code = results_message(run)
    counts, answers, report = text.splitlines()
    assert code == 0
    assert counts == "3 pictures: 1 accepted, 0 rejected, 2 not readable"
    assert answers.split() == ["answers", f"{run.inference}/predictions.csv"]
    assert len(list(csv.DictReader(Path(answers.split()[1]).read_text().splitlines()))) == 3
    assert report.split() == ["report", f"file://{run.folder}/reports/06_infer.html"]
    save_predictions_csv(run, prediction_rows(paths[1:], predictions[1:]))
    assert results_message(run)[1] == 1
    (run.inference / "predictions.csv").unlink()
    with pytest.raises(RunError, match="make infer RUN=mine writes it"):
        results_message(run)


def test_a_run_is_found_by_name_text_and_path(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("mine", Path("mine"), "runs/mine", "runs/mine/", Path("runs/mine"), str(run.folder), run.folder):
        assert find_run(given).folder == run.folder, given
        assert load_predictor(given).run == "mine"
    monkeypatch.chdir(run.folder)
    assert find_run(".").folder == run.folder


def test_the_readmes_python_works_from_any_folder(project, pictures):
    make_run(Run("default", project.folder / "runs"))
    (pictures / "a seven.png").rename(pictures / "photo.jpg")
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for code in (snippet, snippet.replace('"default"', '"runs/default"')):
        done = call(pictures, "-c", code, project=project.folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"\d 0\.\d+ True\n", done.stdout)


def test_examples_are_a_random_sample_in_the_order_of_drawing(run):
    images, labels = np.zeros((500, 28, 28), np.uint8), np.arange(500) % 10
    drawn = [int(path.stem.split("_")[1]) for path in write_examples(run, images, labels, 40, 3)]
    assert drawn == np.random.default_rng(3).permutation(500)[:40].tolist()
    assert drawn[:20] == [int(p.stem.split("_")[1]) for p in write_examples(run, images, labels, 20, 3)]
    assert len(list((run.inference / "examples").iterdir())) == 20
