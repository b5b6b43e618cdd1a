import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.native_log import silent_native_log


def place(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def test_what_is_written_meanwhile_is_dropped(capfd):
    with silent_native_log():
        os.write(2, b"a note")
    os.write(2, b"an error")
    assert capfd.readouterr().err == "an error"


def test_threads_that_overlap_leave_the_descriptor_as_it_was():
    """The first to enter leaves first: what it brought back was then taken away for good."""
    before, entered, left = place(2), threading.Event(), threading.Event()

    def enter_second():
        with silent_native_log():
            entered.set()
            left.wait()

    thread = threading.Thread(target=enter_second)
    with silent_native_log():
        silenced = place(2)
        thread.start()
        entered.wait()
    still = place(2)
    left.set()
    thread.join()
    with Path(os.devnull).open() as nowhere:
        assert silenced == still == place(nowhere.fileno()) != before
    assert place(2) == before


DROPPED = """
import os, sys
from pipeline.native_log import drop_native_log
drop_native_log()
os.write(2, b"a note")
print("an error", file=sys.stderr)
os._exit(0)
"""


def test_what_python_writes_is_left_where_all_else_is_dropped():
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True)
    assert done.stderr == b"an error\n"


def next_descriptor():
    descriptor = os.dup(2)
    os.close(descriptor)
    return descriptor


def test_an_error_brings_it_back():
    before, free = place(2), next_descriptor()
    with pytest.raises(ValueError, match="wrong"), silent_native_log():
        raise ValueError("wrong")
    assert place(2) == before
    assert next_descriptor() == free
