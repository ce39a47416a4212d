"""An index in a forked process says that it cannot be read there, instead of waiting forever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore")
import featmap as fm, torch
from torch import nn

path = sys.argv[1]
net = fm.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 16, 16))
index = fm.Index.build(net, torch.rand(4, 3, 16, 16), path, progress=False)

def ask(answers):
    for question in (lambda: fm.Index.open(path).images, lambda: index.top("0/0", k=1), index.verify):
        try:
            answers.put(str(question()))
        except fm.errors.FeatmapError as error:
            answers.put(f"{type(error).__name__}: {error.problem}")

context = multiprocessing.get_context("fork")
answers = context.Queue()
child = context.Process(target=ask, args=(answers,), daemon=True)
child.start()
for _ in range(3):
    print(answers.get(timeout=60))
print(index.images)
child.kill()
"""


def test_a_fork_of_a_process_that_used_an_index_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "i.fmi")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said = "WorkError: An index was used before this process was forked, and cannot be used in the fork."
    assert done.stdout.splitlines() == [said] * 3 + ["4"], done.stderr
