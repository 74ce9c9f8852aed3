"""LaTeX formulas in Markdown cells as MathML, which browsers draw without a script or a font from elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

LONGEST, MOST = 400, 50  # characters of a formula, formulas of a cell; what is beyond stays LaTeX
# As in pandoc: no space inside the dollars and no digit behind them, so that "$5 and $6" stays text.
INLINE = r"(?<![$\\])\$(?!\s)(?P<math_inline_tex>[^$\n]+?)(?<![\s$\\])\$(?![\d$])"
MARKED = re.compile(r'<code class="formula( block)?">([^<]*)</code>')
ELEMENTS = {
    "math", "mfrac", "mi", "mn", "mo", "mover", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup",
    "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
}  # fmt: skip
ATTRIBUTES = {"columnalign", "display", "fence", "form", "mathvariant", "stretchy", "width"}
VALUE = re.compile(r"[\w.-]+")


def markdown_filter() -> Callable[..., str]:
    """Return nbconvert's Markdown filter, but each formula is marked as `<code class="formula">` with its LaTeX.

    A mark is text to a sanitizer, which therefore needs to let no MathML through; `draw_formulas` comes after it.
    """
    from jinja2 import pass_context
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    @pass_context
    def to_html(context: Any, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        renderer: Any = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        renderer.inline_math = lambda latex: f'<code class="formula">{html.escape(latex)}</code>'
        renderer.block_math = lambda latex: f'<code class="formula block">{html.escape(latex)}</code>'
        markdown = MarkdownWithMath(renderer=renderer)
        markdown.inline.specification["inline_math_tex"] = INLINE
        return markdown.render(source)

    return to_html


def draw_formulas(page: str) -> str:
    """Return sanitized HTML with each marked formula as MathML; one that cannot be converted stays LaTeX."""
    return MARKED.sub(lambda mark: to_mathml(html.unescape(mark[2]), bool(mark[1])) or mark[0], page, MOST)


def to_mathml(latex: str, block: bool) -> str:
    """Return a formula as MathML made of `ELEMENTS` and `ATTRIBUTES` alone; empty when it cannot be converted."""
    if len(latex) > LONGEST:
        return ""
    try:
        from latex2mathml.converter import convert_to_element

        return serialize(convert_to_element(latex.strip(), display="block" if block else "inline"))
    except Exception:  # the converter raises many kinds for LaTeX that is none
        return ""


def serialize(element: Any) -> str:
    text = html.escape(html.unescape(element.text or ""), quote=False)  # the converter leaves entities in its texts
    inside = text + "".join(serialize(child) for child in element)
    if element.tag not in ELEMENTS:
        return inside
    kept = {name: value for name, value in element.items() if name in ATTRIBUTES and VALUE.fullmatch(value)}
    attributes = "".join(f' {name}="{value}"' for name, value in kept.items())
    return f"<{element.tag}{attributes}>{inside}</{element.tag}>"
