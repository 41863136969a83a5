"""What `pocketcdn up` does within a time: nothing else runs beside it (tests/CMakeLists.txt)."""

import os
import signal
import time

from cdn import SLOW, poll
from test_up import Up


def test_clients_are_routed_elsewhere_within_three_seconds(cdn):
    """A stopped process answers nothing and is not restarted: the router alone has to notice."""
    up = Up(cdn).start()
    os.kill(up.pid("fra"), signal.SIGSTOP)
    try:
        began = time.monotonic()
        elsewhere = poll(lambda: (edge := up.edge_for()) != "fra" and edge, 10 * SLOW, "another edge")
        assert time.monotonic() - began < 3 * SLOW
        assert elsewhere in ("nrt", "syd")
    finally:
        os.kill(up.pid("fra"), signal.SIGCONT)
    poll(lambda: up.edge_for() == "fra", what="clients return")
