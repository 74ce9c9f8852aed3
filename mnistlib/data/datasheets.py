"""Datasheets: what each dataset shows, who made it, and its limits, in the words of a model card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Datasheet:
    """A dataset in sentences, as its makers and later studies published them (https://arxiv.org/abs/1803.09010).

    `things`: what the pictures show; `made`: by whom, from what; `people`: whose writing or goods they show, and whose
    not; `splits`: how training set and test set relate; `flaws`: known faults; `unfit`: uses that the pictures do not
    prepare for.
    """

    things: str
    made: str
    people: str
    splits: str
    flaws: str
    unfit: tuple[str, ...]
    licence: str


DECIDING = "deciding anything about people's money, health or rights without a person who checks every prediction"
DATASHEETS = {
    "mnist": Datasheet(
        things="handwritten digits",
        made="MNIST (LeCun, Cortes and Burges 1998): digits from forms that NIST collected in the United States, "
        "its Special Databases 1 and 3, framed into 28 × 28 grey pixels.",
        people="Half of the digits were written by employees of the Census Bureau, half by high-school students, "
        "all in the United States. Forms that are common elsewhere are rare: a 7 with a bar (one in eight of 300), "
        "a 1 with a flag (one in twenty of 300) and a 9 like a g.",
        splits="No writer of the test set contributed to the training set.",
        flaws="A few labels are wrong or open to doubt: Northcutt, Athalye and Mueller (2021) counted fifteen in "
        "the test set.",
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
        people="Thirteen people, which is few, wrote them on forms. Nothing more is recorded about them.",
        splits="The last 360 pictures are the test set. The same people may have written in both sets; new writers "
        "are harder.",
        flaws="At 8 × 8 pixels fine details are lost; enlarging does not restore them.",
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
        "It does not show what people wear elsewhere.",
        splits="Training set and test set were drawn at random from the same range.",
        flaws="The classes overlap: at this size people also confuse shirts, T-shirts, pullovers and coats.",
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
        people="Writers and woodblock cutters of these books, centuries ago. Today's handwriting is not included.",
        splits="The makers' training set and test set are kept.",
        flaws="One character has several quite different historical forms, and some forms resemble another character.",
        unfit=(
            "reading a page: most characters of the script are not among the ten",
            "today's Japanese handwriting or print",
            DECIDING,
        ),
        licence="CC BY-SA 4.0",
    ),
}
