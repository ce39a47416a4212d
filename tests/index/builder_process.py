"""Builders in processes of their own, forked from one that has imported everything: they begin at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any


class Builders:
    """Starts builders and ends them; `close` ends the process that they are forked from."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        )
        self._running: set[int] = set()
        assert self._answer() == "ready"

    def start(self, images: Path, path: Path, outcome: Path | None = None) -> int:
        """Begins to build; returns the process. What goes wrong is written to the file `outcome`."""
        pid = int(self._ask(images=str(images), path=str(path), outcome=str(outcome or os.devnull)))
        self._running.add(pid)
        return pid

    def has_ended(self, pid: int) -> bool:
        """Whether a builder has ended by itself."""
        return self._ask(peek=pid) == "True"

    def end(self, pid: int) -> int:
        """Waits until a builder has ended; returns its exit code, or minus the signal that ended it."""
        code = int(self._ask(wait=pid))
        self._running.discard(pid)
        return code

    def kill(self, pid: int) -> int:
        """Kills a builder; returns what `end` says."""
        os.kill(pid, signal.SIGKILL)
        return self.end(pid)

    def close(self) -> None:
        for pid in list(self._running):
            self.kill(pid)
        for stream in (self._server.stdin, self._server.stdout):
            assert stream is not None
            stream.close()
        self._server.wait()

    def _ask(self, **task: Any) -> str:
        assert self._server.stdin is not None
        print(json.dumps(task), file=self._server.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


def _environment() -> dict[str, str]:
    here = Path(__file__).parent
    source = here.parent.parent / "src"
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (source, here.parent, here)))}


def _serve() -> None:
    import durable_cases

    # Whatever the kernels and the first build import is there before the first fork; no thread is running yet.
    import featmap.index.build.build
    import featmap.index.build.read_ahead  # noqa: F401

    network = durable_cases.network()
    assert len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        if "wait" in task:
            answer: Any = os.waitstatus_to_exitcode(os.waitpid(task["wait"], 0)[1])
        elif "peek" in task:
            answer = os.waitid(os.P_PID, task["peek"], os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        else:
            answer = os.fork()
            if not answer:
                _build(network, task)
        print(answer, flush=True)


def _build(network: Any, task: dict[str, str]) -> None:
    from durable_cases import WISH

    from featmap.errors import FeatmapError
    from featmap.index.build.build import build_index

    code = 70
    try:
        os.close(0)
        build_index(network, task["images"], task["path"], WISH)
        code = 0
    except FeatmapError as error:
        Path(task["outcome"]).write_text(f"{type(error).__name__}: {error}")
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
