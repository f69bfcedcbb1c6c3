"""Runs a server for exactly as long as its owner lives: ends it when standard input ends.

Started as a script with nothing but the standard library, so that it costs little: the owner holds the
other end of the pipe, and the kernel closes it however the owner dies. `FOLDER` is removed at the end.
Usage: broker_watch.py FOLDER SERVER [ARGUMENT…]
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 2.0
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Run in the server before it starts: on Linux, not even a kill -9 of this watchdog leaves it behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(folder: str, command: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - no thread runs yet
    )

    def leave_with_server() -> None:
        status = server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(status if status >= 0 else 1)

    threading.Thread(target=leave_with_server, daemon=True).start()
    while os.read(0, 4096):
        pass
    server.terminate()
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
