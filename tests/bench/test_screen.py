"""What the browser tests' own check finds: each fault of a page, and none in a sound one."""

import base64

import numpy as np
import pytest

from mnistlib.imaging.image_files import to_png


def picture(pixels: np.ndarray) -> str:
    return f'<img width="50" height="50" src="data:image/png;base64,{base64.b64encode(to_png(pixels)).decode()}">'


SOUND = picture(np.eye(28, dtype=np.uint8) * 255)
FAULTS = {
    "a widget that was not made": ('<div class="jupyter-widgets-error-widget">Click</div>', "broken part"),
    "a red output": ('<div data-mime-type="application/vnd.jupyter.stderr">Warning</div>', "broken part"),
    "an error in a cell": ('<div data-mime-type="application/vnd.jupyter.error">Traceback</div>', "broken part"),
    "an error in the console": ("<script>console.error('told');</script>", "told"),
    "an error in a script": ("<script>throw new Error('thrown');</script>", "thrown"),
    "a request to a host": ("<script>fetch('http://127.0.0.1:9/x').catch(() => 0);</script>", "http://127.0.0.1:9/x"),
    "a picture that is not there": ('<img width="50" height="50" src="none.png">', "not loaded"),
    "a picture of one color": (picture(np.full((28, 28), 7, np.uint8)), "empty picture"),
    "a drawing without lines": ('<svg width="50" height="50"></svg>', "empty picture"),
    "a canvas that nobody drew on": ("<canvas width='50' height='50'></canvas>", "empty picture"),
}


def show(browser, folder, body: str) -> None:
    page_file = folder / "page.html"
    page_file.write_text(f"<!doctype html><body>{SOUND}{body}</body>")
    with browser() as page:
        page.goto(page_file.as_uri())
        page.wait_for_timeout(300)


@pytest.mark.parametrize(("body", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(browser, tmp_path, body, words):
    with pytest.raises(RuntimeError, match=words):
        show(browser, tmp_path, body)


def test_a_sound_page_has_none(browser, tmp_path):
    show(browser, tmp_path, "<p>all is well</p>")
