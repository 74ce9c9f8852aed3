"""Training as it happens, in a real kernel: curves that grow before a person's eyes, plain lines for a runner."""

from jupyter_client.manager import start_new_kernel

from mnistlib.core.files import ROOT
from mnistlib.reporting.progress import print_progress

CODE = """
from mnistlib.reporting.progress import live_curves
from mnistlib.training.history import Epoch
grow = live_curves(3)
for number in (1, 2, 3):
    grow(Epoch(number, 1 / number, 0.9, 0.5 / number, 0.9, 0.01, 1.0))
"""


def outputs(metadata: dict) -> list[dict]:
    """What a front end that says this about the cell is sent, in order."""
    manager, client = start_new_kernel(cwd=str(ROOT))
    try:
        content = {"code": CODE, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        client.shell_channel.send(client.session.msg("execute_request", content, metadata=metadata))
        sent = []
        while True:
            message = client.get_iopub_msg(timeout=60)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return sent
            sent.append({"kind": message["msg_type"], **message["content"]})
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_person_sees_curves_that_grow_and_go_when_they_are_whole():
    sent = [one for one in outputs({"cellId": "a"}) if one["kind"] in ("display_data", "update_display_data")]
    assert [one["kind"] for one in sent] == ["display_data", "update_display_data", "update_display_data"]
    assert len({one["transient"]["display_id"] for one in sent}) == 1
    first, second, last = (one["data"]["text/html"] for one in sent)
    assert "<img" in first and "<img" in second and first != second
    assert last == ""


def test_a_runner_gets_a_line_for_each_epoch_and_nothing_else():
    sent = outputs({})
    assert {one["kind"] for one in sent} <= {"status", "stream", "execute_input"}
    text = "".join(one["text"] for one in sent if one["kind"] == "stream")
    assert [line.split()[:2] for line in text.splitlines()] == [["epoch", "1"], ["epoch", "2"], ["epoch", "3"]]


def test_a_runner_gets_a_line_for_each_so_many_and_for_the_last(capsys):
    for done in (100, 1000, 1500, 2000, 2300):
        print_progress(done, 2300, "picture", every=1000)
    print_progress(5, 5, "picture", every=1000)
    print_progress(2300, 2300, "picture", every=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["1,000 of 2,300 pictures", "2,000 of 2,300 pictures", "2,300 of 2,300 pictures"]
