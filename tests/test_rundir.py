"""The run's tree."""

import pytest

from mnistlib.files import RunError
from mnistlib.rundir import Run
from mnistlib.stages import STAGES


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a b", "$(shell ls)", "a;b", "-x", "data", "Bench", "é", "a\n"]
)
def test_names_that_are_no_folder_of_their_own_are_refused(name):
    with pytest.raises(RunError, match="RUN"):
        Run(name)


@pytest.mark.parametrize("name", ["default", "my-run_2.1", "A", "2024"])
def test_ordinary_names_are_taken(name):
    assert Run(name).folder.name == name


def test_stages_read_only_from_earlier_ones():
    names = [stage.name for stage in STAGES]
    for place, stage in enumerate(STAGES):
        assert set(stage.needs) <= set(names[:place])
        assert set(stage.hands_on) <= set(stage.leaves)
