"""What numbers look like for people, in terminals and pages."""

import math

import pytest

from mnistlib.core.formatting import Table, as_text, confidence_text, counted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9953, "0.9953"), (0.99, "0.9900"), (0.0, "0.0000"), (0.00012345, "0.0001234"), (-0.25, "-0.2500"),
        (-0.0031, "-0.0031"), (1.78, "1.78"), (146.204, "146.20"), (37654.3, "3.765e+04"), (math.nan, "nan"),
        (math.inf, "inf"), (True, "yes"), (10000, "10,000"), ("a <b>", "a <b>"),
    ],
)  # fmt: skip
def test_a_value_for_people(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(("of", "text"), [(0.9, "90.0 %"), (0.9953, "99.5 %"), (0.9996, "99.9 %"), (1, "99.9 %")])
def test_no_confidence_is_shown_as_certainty(of, text):
    assert confidence_text(of) == text


def test_text_is_escaped_in_pages_and_columns_are_aligned_in_terminals():
    table = Table([{"name": "<b>", "seconds": 1.5}, {"name": "longer", "seconds": 120}])
    assert "&lt;b&gt;" in table._repr_html_()
    assert "<b>" not in table._repr_html_()
    assert repr(table).splitlines() == ["name    seconds", "<b>     1.50", "longer  120"]


def test_a_table_of_seconds_has_as_many_decimals_in_every_cell():
    table = Table([{"stage": "one", "seconds": 0.47}, {"stage": "two", "seconds": 12.0}], decimals=2)
    assert repr(table).splitlines()[1:] == ["one    0.47", "two    12.00"]
    assert '<td class="number">12.00</td>' in table._repr_html_()


def test_one_is_one_and_none_and_many_are_not():
    assert [counted(n, "epoch") for n in (0, 1, 2, 1200)] == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]
