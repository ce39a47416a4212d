"""`python -m wild`: compares all foreign networks and writes their table into docs/networks.md; or only some, by key.

Each network runs in a process of its own with a limit of time, so that a crash of one is a row of the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wild.compare import Row, compare
from wild.networks import Wild, all_networks
from wild.table import write

LIMIT_S = 600
PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


def main() -> None:
    """The whole list, or the networks whose key holds a word of the command line (those are printed only)."""
    if sys.argv[1:2] == ["--one"]:
        (network,) = (network for network in all_networks() if network.key == sys.argv[2])
        print(json.dumps(compare(network).to_dict()))
        return
    words = sys.argv[1:]
    chosen = [network for network in all_networks() if not words or any(word in network.key for word in words)]
    rows: list[Row] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for number, row in enumerate(threads.map(_row, chosen), start=1):
            rows.append(row)
            found = row.failed or row.refused or "; ".join(row.differences) or "as it is"
            print(f"{number}/{len(chosen)} {row.package}/{row.name}: {row.outputs} outputs, {found}", flush=True)
    if not words:
        write(PAGE, rows)


def _row(network: Wild) -> Row:
    """A network compared in a process of its own."""
    command = [sys.executable, "-m", "wild", "--one", network.key]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=True)
        return Row(**json.loads(done.stdout.strip().splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Row(network.package, network.name, differences=[f"no answer in {LIMIT_S} s"])
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        return Row(network.package, network.name, differences=[f"the process ended with {error.returncode}: {last}"])


if __name__ == "__main__":
    main()
