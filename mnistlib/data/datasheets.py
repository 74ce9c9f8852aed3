"""What each dataset shows, who made it of whose hands, and what follows from that: the words of a model card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Datasheet:
    """One dataset in sentences, as its makers and later readers published them.

    `things`: what the pictures show; `made`: by whom, of what; `people`: who stands behind the pictures, and who does
    not; `parts`: how training and test part relate; `flaws`: what is known to be wrong; `unfit`: uses that these
    pictures do not prepare for.
    """

    things: str
    made: str
    people: str
    parts: str
    flaws: str
    unfit: tuple[str, ...]
    licence: str


DECIDING = "deciding anything about people's money, health or rights without a person who looks at every answer"
DATASHEETS = {
    "mnist": Datasheet(
        things="handwritten digits",
        made="MNIST (LeCun, Cortes and Burges 1998): digits from forms that NIST collected in the United States, "
        "its Special Databases 1 and 3, framed into 28 × 28 grey pixels.",
        people="Half of the digits were written by employees of the Census Bureau, half by high-school students, "
        "all in the United States. A 7 with a bar (of 300 one in eight), a 1 with a flag (of 300 one in "
        "twenty) and a 9 like a g, as people elsewhere write them, are rarer than there.",
        parts="No writer of the test part wrote for the training part.",
        flaws="A few labels are wrong or open to doubt: Northcutt, Athalye and Mueller (2021) counted fifteen in "
        "the test part.",
        unfit=(
            "numbers of several digits, and digits that stand in a photograph of something else",
            "numerals of other scripts, letters and signs",
            DECIDING,
        ),
        licence="CC BY-SA 3.0",
    ),
    "digits": Datasheet(
        things="handwritten digits",
        made="scikit-learn's copy of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998): "
        "digits reduced to 8 × 8 pixels of 17 greys, here enlarged and framed into 28 × 28.",
        people="Thirteen people wrote them, on forms. Nothing more is recorded of them, and thirteen hands are few.",
        parts="The end of the set is the test part, and the same people may have written in both: new hands are "
        "harder.",
        flaws="At 8 × 8 pixels fine forms of writing are lost; enlarging does not bring them back.",
        unfit=(
            "numbers of several digits, and digits that stand in a photograph of something else",
            "numerals of other scripts, letters and signs",
            "any claim about MNIST: these are other pictures",
            DECIDING,
        ),
        licence="CC BY 4.0",
    ),
    "fashion_mnist": Datasheet(
        things="articles of clothing",
        made="Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): photographs from Zalando's shop, each of one article, "
        "made grey and shrunk to 28 × 28 pixels.",
        people="One shop's range about the year 2017, photographed by that shop and labelled by its own staff. "
        "What other people and places wear is not in it.",
        parts="Training and test part were drawn at random from the same range.",
        flaws="The classes overlap: at this size people, too, take shirts, T-shirts, pullovers and coats for each "
        "other.",
        unfit=(
            "photographs of people, of several articles, or with anything behind the article",
            "sorting, buying or selling real goods",
            "judging people by what they wear",
            DECIDING,
        ),
        licence="MIT",
    ),
    "kmnist": Datasheet(
        things="cursive Japanese characters",
        made="Kuzushiji-MNIST (Clanuwat and others 2018): ten hiragana cut out of classical Japanese books by the "
        "Center for Open Data in the Humanities, framed into 28 × 28 grey pixels.",
        people="The hands of those who wrote and cut the pages of these books, centuries ago. Today's handwriting "
        "is not in it.",
        parts="Its makers' division into training and test part is kept.",
        flaws="One character has several quite different historical forms, and some forms resemble another character.",
        unfit=(
            "reading a page: most characters of the script are not among the ten",
            "today's Japanese handwriting or print",
            DECIDING,
        ),
        licence="CC BY-SA 4.0",
    ),
}
