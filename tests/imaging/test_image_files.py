"""Pictures as people have them, good and bad, through to the answer."""

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistlib.core.errors import RunError
from mnistlib.data.loading import obtain
from mnistlib.data.synthetic import examples
from mnistlib.evaluation.calibration import Calibration, save_calibration
from mnistlib.evaluation.corruptions import corrupt
from mnistlib.imaging.framing import frame, rasterize
from mnistlib.imaging.image_files import find_pictures, read_batches, to_digits
from mnistlib.imaging.restoration import restore_digits
from mnistlib.inference.prediction_table import (
    count_predictions,
    prediction_rows,
    save_predictions_csv,
    worst_first,
)
from mnistlib.inference.predictor import (
    Prediction,
    Predictor,
    load_predictor,
    usable_run,
)
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build, save_model


@pytest.fixture(scope="module")
def digit() -> np.ndarray:
    return obtain("digits").test_images[7]


class UnreadableError(Exception):
    """Why a picture cannot be read."""


def read_picture(path: Path) -> np.ndarray:
    """One picture, as it is read among many."""
    ((images, (why,)),) = read_batches([path], 1)
    assert images.shape == (1, 28, 28)
    if why:
        raise UnreadableError(why)
    return images[0]


def large(digit: np.ndarray) -> Image.Image:
    """The digit as a photo-like picture of 300×260, bright on dark, off centre."""
    canvas = Image.new("L", (300, 260), 0)
    canvas.paste(Image.fromarray(digit).resize((168, 168), Image.Resampling.BICUBIC), (110, 20))
    return canvas


def variants(digit: np.ndarray) -> dict[str, Image.Image]:
    bright = large(digit)
    dark = Image.fromarray(255 - np.asarray(bright))
    ink = Image.new("RGBA", bright.size, (0, 0, 0, 0))
    ink.putalpha(bright)
    white_ink = Image.new("RGBA", bright.size, (255, 255, 255, 0))
    white_ink.putalpha(bright)
    deep = Image.fromarray(np.asarray(dark).astype(np.uint16) * 257)
    twelve_bits = Image.fromarray(np.asarray(dark).astype(np.uint16) * 16)
    floats = Image.fromarray(np.asarray(dark) / np.float32(255))
    blind = np.asarray(dark) / np.float32(255)
    blind[:5, :5] = np.nan
    endless, overshot = np.asarray(dark) / np.float32(255), np.asarray(dark) / np.float32(255)
    endless[:5, :5], endless[5:10, :5] = np.inf, -np.inf
    overshot[:5, :5] = 1.1
    grey_paper = Image.fromarray((40 + np.asarray(dark) * 0.7).astype(np.uint8))
    wide = Image.fromarray(np.asarray(grey_paper).astype(np.int32) << 23)
    return {
        "light_on_dark.png": bright,
        "dark_on_light.png": dark,
        "photo.jpg": grey_paper.convert("RGB"),
        "cmyk.jpg": dark.convert("CMYK"),
        "transparent.png": ink,
        "transparent_white.png": white_ink,
        "palette.png": dark.convert("P"),
        "black_and_white.png": dark.convert("1"),
        "sixteen_bit.png": deep,
        "twelve_bits.png": twelve_bits,
        "zero_to_one.tiff": floats,
        "a_little_over_one.tiff": Image.fromarray(overshot),
        "infinite.tiff": Image.fromarray(endless),
        "not_a_number.tiff": Image.fromarray(blind),
        "thirty_two_bit.tiff": wide,
    }


@pytest.mark.parametrize("name", sorted(variants(np.zeros((28, 28), np.uint8))))
def test_every_kind_of_picture_gives_the_same_digit(digit, tmp_path, name):
    path = tmp_path / name
    variants(digit)[name].save(path)
    large(digit).save(tmp_path / "plain.png")
    plain, found = read_picture(tmp_path / "plain.png").astype(float), read_picture(path).astype(float)
    assert np.corrcoef(found.ravel(), plain.ravel())[0, 1] > (0.95 if "black_and_white" in name else 0.97)  # dithered
    expected = frame(np.asarray(large(digit))).astype(float)  # faint parts of its strokes are faint here
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def photo(digit: np.ndarray, kind: str) -> np.ndarray:
    """The digit on paper as a telephone sees it: in uneven light, on a table, with specks."""
    noise = np.random.default_rng(0)
    y, x = np.mgrid[:260, :300] / np.array([260, 300])[:, None, None]
    light = 110 + 100 * x + 20 * y if "light" in kind else np.full_like(x, 200)
    if "lens" in kind:
        light = light * (1 - 0.65 * np.clip(np.hypot(x - 0.5, y - 0.5) / np.sqrt(0.5), 0, 1) ** 2)
    if "shadow" in kind:
        light = light * (1 - 0.5 / (1 + np.exp(-(x - y + 0.1) / 0.04)))
    seen = light * (1 - 0.65 * np.asarray(large(digit)) / 255)
    if "table" in kind:
        seen[:, :20], seen[-12:] = 50, 60
    if "frame" in kind:
        seen[:7] = seen[-7:] = seen[:, :7] = seen[:, -7:] = 30
    for top, left in noise.integers(20, 230, (5 * ("specks" in kind), 2)):
        seen[top : top + 3, left : left + 3] = 60
    return np.clip(seen + noise.normal(0, 4, seen.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize(
    "kind",
    ["plain", "light", "lens", "shadow", "table", "frame", "specks", "light table specks", "lens shadow", "lens table"],
)
def test_what_surrounds_the_digit_in_a_photograph_is_left_out(digit, tmp_path, kind, negative):
    seen = photo(digit, kind)
    Image.fromarray(255 - seen if negative else seen).save(tmp_path / "a.png")
    expected = frame(np.asarray(large(digit))).astype(float)
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("side", [60, 100])
def test_a_small_digit_on_a_large_sheet_is_found(digit, tmp_path, side):
    sheet = np.full((700, 900), 215, np.uint8)
    ink = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
    sheet[300 : 300 + side, 500 : 500 + side] = 215 - 160 * ink
    noisy = sheet + np.random.default_rng(0).normal(0, 3, sheet.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), frame(digit).ravel())[0, 1] > 0.8


@pytest.mark.parametrize("shape", [(1, 1), (2, 200), (3, 3), (200, 2), (5000, 10), (28, 1)])
def test_a_picture_of_hardly_any_pixels_is_a_row_not_a_crash(tmp_path, shape):
    for pixels in (np.zeros(shape), np.random.default_rng(0).integers(0, 256, shape)):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
        try:
            assert read_picture(tmp_path / "a.png").any()
        except UnreadableError as reason:
            assert str(reason)


def test_large_and_thick_digits_are_not_taken_for_paper(digit, tmp_path):
    for side in (100, 400):
        Image.fromarray(255 - digit).resize((side, side), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
        assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), frame(digit).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["brightness", "stripe", "fog"])
def test_a_spoilt_picture_of_mnists_size_is_restored(tmp_path, name):
    seven = rasterize(examples()[1])
    Image.fromarray(corrupt(seven[None], name, 0)[0]).save(tmp_path / "a.png")
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), seven.ravel())[0, 1] > 0.75


@pytest.mark.parametrize("name", ["brightness", "stripe", "fog", "spatter", "impulse_noise"])
def test_files_and_arrays_are_restored_alike(name):
    digits = obtain("digits").test_images[:50]
    corrupted = corrupt(digits, name, 0)
    files, arrays = to_digits(list(corrupted)).astype(int), restore_digits(corrupted)
    assert (np.abs(files - arrays).mean((1, 2)) < 12).mean() >= 0.9


def test_a_line_across_a_digit_does_not_shrink_it():
    eight = rasterize([[(30, 0), (0, 25), (60, 75), (30, 100), (0, 75), (60, 25), (30, 0)]])
    lined = eight.copy()
    lined[13:16, 2:26] = 255
    assert np.array_equal(to_digits([lined])[0], restore_digits(lined[None])[0])
    assert to_digits([lined])[0].any(1).sum() == eight.any(1).sum()


def test_thin_strokes_are_widened_also_where_they_leave_the_box():
    thin = np.zeros((28, 28), np.uint8)
    thin[2:26, 14] = 255
    thin[2:8, 8:15] = 255 * np.eye(7, dtype=np.uint8)[:6, ::-1]
    assert to_digits([thin])[0].sum(dtype=int) > 1.25 * thin.sum(dtype=int)


def test_progress_is_told_and_the_order_kept(predictor, digit, tmp_path):
    images = obtain("digits").test_images[:300]
    for i in range(600):
        image = images[i % 300]
        Image.fromarray(255 - image if i % 3 else image).save(tmp_path / f"{i:03d}.png")
    reported = []
    paths = find_pictures(str(tmp_path))
    answers = predictor.files(paths, lambda done, total: reported.append((done, total)))
    assert reported == [(500, 600), (600, 600)]
    assert all(np.array_equal(a.image, read_picture(path)) for a, path in zip(answers, paths, strict=True))


def test_mnists_own_pictures_are_taken_as_they_are(digit, tmp_path):
    Image.fromarray(digit).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), digit)


def test_the_first_frame_of_an_animation_counts(digit, tmp_path):
    frames = [Image.fromarray(digit), Image.new("L", (28, 28))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.abs(read_picture(tmp_path / "a.gif").astype(int) - digit).max() < 40


def test_pages_are_refused_where_one_alone_would_be_read_and_a_single_one_is_not(digit, tmp_path):
    pages = [Image.fromarray(digit)] * 3
    for count in (1, 2, 3):
        pages[0].save(tmp_path / f"{count}.tif", save_all=True, append_images=pages[1:count])
    assert np.array_equal(read_picture(tmp_path / "1.tif"), digit)
    for count in (2, 3):
        with pytest.raises(UnreadableError, match=r"^several pages: save each as a picture of its own$"):
            read_picture(tmp_path / f"{count}.tif")


def bad_files(folder) -> dict[str, str]:
    """Bad pictures by name, with a word of the reason expected."""
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    Image.new("L", (300, 300), 255).save(folder / "blank.png")
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "broken.png")
    whole = (folder / "broken.png").read_bytes()
    (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    return {"empty": "empty", "text": "not a picture", "blank": "no ink", "broken": "broken", "huge": "pixels"}


def test_bad_pictures_say_why(tmp_path):
    for name, word in bad_files(tmp_path).items():
        with pytest.raises(UnreadableError, match=word):
            read_picture(tmp_path / f"{name}.png")


@pytest.fixture
def predictor(tmp_path, monkeypatch) -> Predictor:
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    run = Run("r")
    save_model(run, build(Architecture((4, 8, 16), 32), 0), {"dataset": "mnist"})
    save_calibration(run, Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    return load_predictor("r")


@pytest.mark.skipif(sys.platform == "darwin", reason="there every name is UTF-8")
def test_a_name_that_is_no_utf_8_is_a_row_like_any_other(predictor, digit, tmp_path):
    path = tmp_path / os.fsdecode(b"bad\xff.png")
    Image.fromarray(digit).save(path)
    rows = prediction_rows([path], predictor.files(find_pictures(str(tmp_path))))
    assert rows[0]["file"].endswith("bad\\xff.png")
    assert "bad\\xff.png" in save_predictions_csv(Run("r"), rows).read_text()
    with pytest.raises(RunError, match="not UTF-8"):
        find_pictures(str(path))


def test_a_bad_file_is_a_row_and_the_rest_goes_on(predictor, digit, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    bad = bad_files(folder)
    Image.fromarray(digit).save(folder / "a $(shell x); 'good'.png")
    paths = find_pictures(str(folder))
    rows = prediction_rows(paths, predictor.files(paths))
    assert len(rows) == len(bad) + 1
    good = [row for row in rows if row["accepted"]]
    assert [str(row["file"]).rpartition("/")[2] for row in good] == ["a $(shell x); 'good'.png"]
    assert all(
        row["rejection_reason"] and row["digit"] == row["probability"] == "" for row in rows if not row["accepted"]
    )
    ordered, answers = worst_first(paths, predictor.files(paths))
    assert [a.accepted for a in answers] == [False] * len(bad) + [True]
    assert sorted(ordered) == sorted(paths)
    assert ordered[-1].name.startswith("a $(shell")
    path = save_predictions_csv(Run("r"), rows)
    assert [row["file"] for row in csv.DictReader(path.open())] == [row["file"] for row in rows]


def test_images_files_and_network_agree(predictor, tmp_path):
    images = obtain("digits").test_images[:30]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    answers = predictor.images(images)
    from_files = predictor.files(find_pictures(str(tmp_path)))
    assert [p.digit for p in answers] == [p.digit for p in from_files]
    assert all(p.probabilities.sum() == pytest.approx(1) for p in answers)
    assert all(np.array_equal(p.image, image) for p, image in zip(answers, images, strict=True))


def test_files_are_named_by_text_as_by_path_and_in_a_list(predictor, digit, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(digit).save(path)
    by_text, by_path = predictor.files([str(path), path])
    assert by_text.accepted
    assert np.array_equal(by_text.probabilities, by_path.probabilities)
    for alone in (path, str(path)):
        with pytest.raises(TypeError, match=r"a list of paths, found .*a\.png.*: write \[path\]"):
            predictor.files(alone)


def test_below_the_threshold_nothing_is_accepted(predictor, digit):
    strict = Predictor(predictor.network, Calibration(1.0, 1.0, 0.0, 0.0, 0.0), "r", "", "mnist")
    answer = strict.images(digit[None])[0]
    assert not answer.accepted
    assert answer.rejection_reason == "not sure enough"
    assert answer.digit == answer.probabilities.argmax()


def test_what_is_not_like_a_digit_is_not_accepted_however_sure(predictor, digit):
    strict = Predictor(predictor.network, Calibration(1.0, 0.0, 1e9, 0.0, 0.0), "r", "", "mnist")
    answer = strict.images(digit[None])[0]
    assert (answer.accepted, answer.rejection_reason) == (False, "not like a digit")


def test_no_ink_is_never_accepted(predictor):
    assert predictor.images(np.zeros((1, 28, 28), np.uint8))[0].rejection_reason == "no ink"


@pytest.mark.parametrize("bad", [np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28)), np.zeros((1, 27, 28), np.uint8)])
def test_arrays_of_another_kind_are_refused(predictor, bad):
    with pytest.raises(ValueError, match="uint8 N×28×28"):
        predictor.images(bad)


def test_input_may_name_several_or_nothing(tmp_path, digit):
    (tmp_path / "two words").mkdir()
    one, two = tmp_path / "one.png", tmp_path / "two words" / "b.png"
    for path in (one, two):
        Image.fromarray(digit).save(path)
    assert find_pictures(f"{one} '{two}'") == [one, two]
    assert find_pictures(str(two.parent)) == [two]
    with pytest.raises(RunError, match="INPUT"):
        find_pictures(str(tmp_path / "nowhere"))
    (tmp_path / "none").mkdir()
    with pytest.raises(RunError, match="no pictures"):
        find_pictures(str(tmp_path / "none"))


def test_what_would_never_end_is_refused_before_anything_reads_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for endless in ("/dev/zero", str(tmp_path / "pipe.png")):
        with pytest.raises(RunError, match="neither a picture file nor a folder"):
            find_pictures(endless)


@pytest.mark.parametrize("text", ["~nosuchuser/7.png", "~nosuchuser/7.png 8.png", "'~nosuchuser/a b.png'"])
def test_a_home_folder_that_nobody_has_is_said_in_words(text):
    with pytest.raises(RunError, match="cannot be read: the home folder that ~ stands for is not known"):
        find_pictures(text)


def test_a_run_may_be_named_by_its_folder(predictor, digit, tmp_path):
    shutil.copytree(Run("r").folder, tmp_path / "elsewhere" / "moved")
    moved = load_predictor(tmp_path / "elsewhere" / "moved")
    assert np.array_equal(moved.images(digit[None])[0].probabilities, predictor.images(digit[None])[0].probabilities)


def test_without_a_model_of_its_own_a_run_takes_the_newest_on_mnist(predictor, tmp_path):
    shutil.copytree(Run("r").folder, Run("later").folder)
    later = Run("later").model_json
    later.write_text(later.read_text().replace("mnist", "digits"))
    assert usable_run("later") == "later"
    assert usable_run("lab") == "r"
    shutil.rmtree(Run("r").folder)
    assert usable_run("lab") == "later"
    later.write_text('{"training": []}')
    assert usable_run("lab") == "later"
    with pytest.raises(RunError, match=r"runs/r holds no complete model: .* make all RUN=r"):
        usable_run("r")
    shutil.rmtree(Run("later").folder)
    with pytest.raises(RunError, match="make all"):
        usable_run("lab")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_stands_as_its_camera_says(digit, tmp_path, orientation):
    turned = large(digit).rotate({1: 0, 3: 180, 6: 90, 8: -90}[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.save(tmp_path / "a.jpg", exif=exif, quality=95)
    expected = frame(np.asarray(large(digit)))
    assert np.corrcoef(read_picture(tmp_path / "a.jpg").ravel(), expected.ravel())[0, 1] > 0.95


def test_ink_that_comes_in_from_the_border_is_no_part_of_the_digit(digit, tmp_path):
    sheet = np.full((200, 200), 220, np.uint8)
    sheet[60:144, 60:144] = 220 - 160 * (np.asarray(Image.fromarray(digit).resize((84, 84))) / 255)
    alone = frame(digit).ravel()
    sheet[20:24, 150:] = 40  # a line of the next digit on the sheet
    Image.fromarray(sheet).save(tmp_path / "a.png")
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), alone)[0, 1] > 0.9


def test_a_picture_of_mnists_size_of_which_half_is_negative_is_whole_again(tmp_path):
    half = rasterize(examples()[1])
    half[:, :14] = 255 - half[:, :14]
    Image.fromarray(half).save(tmp_path / "a.png")
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), rasterize(examples()[1]).ravel())[0, 1] > 0.95


def test_what_was_given_accepted_and_unreadable_is_counted_by_hand():
    ink, blank = np.ones((28, 28), np.uint8), np.zeros((28, 28), np.uint8)
    told = [Prediction(1, np.eye(10)[1], ok, image) for ok, image in ((True, ink), (False, ink), (False, blank))]
    assert count_predictions(told) == {"infer_count": 3, "infer_accepted": 1, "infer_unreadable": 1}


def test_ink_and_paper_of_one_lightness_differ_in_color(digit, tmp_path):
    ink = np.asarray(large(digit))[..., None] / 255
    red, green = np.array([180, 40, 40]), np.array([30, 109, 30])  # both have luminance 82
    Image.fromarray((green + ink * (red - green)).astype(np.uint8)).save(tmp_path / "a.png")
    expected = frame(np.asarray(large(digit)))
    assert np.corrcoef(read_picture(tmp_path / "a.png").ravel(), expected.ravel())[0, 1] > 0.9
