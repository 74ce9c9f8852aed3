"""Formulas of Markdown cells: MathML in the page, whatever else has dollars stays text, an attack does nothing."""

import json
import re
from html.parser import HTMLParser

import nbformat
import pytest

from mnistlib.reporting import formulas, notebook_html
from mnistlib.runs import fingerprint, layout, state
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import STAGES

MATH = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]+\$")
ATTACKS = (
    r"$\href{javascript:globalThis.owned=1}{x}$",
    r'$\text{<img src=x onerror="globalThis.owned=1">}$',
    r"$$\text{</mtext></math><script>globalThis.owned = 1</script>}$$",
    r"$\text{&lt;script&gt;globalThis.owned = 1&lt;/script&gt;}$",
    r"$\style{background: url(http://127.0.0.1:9/x)}{x}$",
    r"$\boxed{x} \phantom{x} \class{fallback}{x} \color{red}{x}$",
    '<code class="formula">\\text{<svg onload="globalThis.owned=1">}</code>',
    "$<script>globalThis.owned = 1</script>$",
)


class Elements(HTMLParser):
    """What a browser would make elements and attributes of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.names = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.names |= {name for name, _ in attributes}


@pytest.fixture(scope="module")
def shown():
    """A function that shows a Markdown text as a page does."""
    template = notebook_html.exporter().environment.from_string("{{ source | markdown2html | allowed }}")
    return lambda source: str(template.render(source=source, cell={}))


def test_every_formula_of_the_notebooks_is_mathml_in_their_pages(smoke):
    found = 0
    for stage in STAGES:
        text = "\n\n".join(c["source"] for c in fingerprint.read_cells(stage.notebook) if c["cell_type"] == "markdown")
        written = MATH.findall(re.sub(r"`[^`]*`", "", text))
        page = (smoke.run() / "reports" / f"{stage.name}.html").read_text()
        assert page.count("<math ") == len(written), stage.name
        assert page.count('<math display="block">') == sum(formula.startswith("$$") for formula in written)
        assert 'class="formula' not in page
        found += len(written)
    assert found > 10


def test_a_formula_says_what_its_latex_says(shown):
    page = shown(r"so $p_k = \frac{1}{10}$")
    assert page.startswith('<p>so <math display="inline"><mrow><msub><mi>p</mi><mi>k</mi></msub><mo>=</mo><mfrac>')
    assert re.sub("<[^>]*>", "", page).strip() == "so pk=110"


@pytest.mark.parametrize(
    "text",
    ["$5 and $6", "from $5 to $6, not $7.", "$5/$6", "costs $ 5 $", "`$HOME and $x$`", r"\$x and y\$", "a $ b", "$"],
)
def test_other_dollars_stay_text(shown, text):
    page = shown(text)
    assert "<math" not in page
    assert re.sub("<[^>]*>", "", page).strip() == re.sub(r"[`\\]", "", text)


@pytest.mark.parametrize("latex", [r"\frac", r"\left(", "{" * 200, "x" * 500])
def test_what_is_no_formula_stays_latex(shown, latex):
    assert shown(f"a ${latex}$ b").strip() == f'<p>a <code class="formula">{latex}</code> b</p>'


def test_an_attack_brings_elements_of_mathml_alone(shown):
    page = Elements(shown("\n\n".join(ATTACKS)))
    assert page.tags <= formulas.ELEMENTS | {"p", "code"}
    assert page.names <= {"display", "stretchy", "class"}


def test_an_attack_in_a_formula_of_a_received_notebook_does_nothing(smoke, tmp_path, monkeypatch, browser):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    monkeypatch.setattr(state, "is_outdated", lambda run, record, asked: False)
    received = smoke.copy(tmp_path / "project")
    received.run().rename(tmp_path / "r")
    run = Run("r")
    notebook = nbformat.read(run.notebook("03_train"), as_version=4)
    notebook.cells = [nbformat.v4.new_markdown_cell(attack) for attack in ATTACKS]
    run.notebook("03_train").write_text(json.dumps(notebook))
    notebook_html.write_page(run, "03_train")
    with browser() as page:
        page.goto(run.page("03_train").as_uri())
        page.wait_for_timeout(300)
        assert page.url == run.page("03_train").as_uri()
        assert page.evaluate("globalThis.owned") is None
        assert page.locator("main math").count() == len(ATTACKS)
        assert page.locator("main :is(script, img, svg, a, style, [href], [style], [onerror])").count() == 0
