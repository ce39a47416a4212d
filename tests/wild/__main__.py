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
from typing import Any

from wild.compare import Row, compare
from wild.networks import Wild, all_networks
from wild.table import write

LIMIT_S = 600
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "networks.md"
ROWS = ROOT / ".wild.json"


def main() -> None:
    """The whole list, or the networks whose key holds a word of the command line: those rows are renewed.

    Rows are kept in .wild.json as they are found, so that an interrupted comparison of some goes on from there.
    """
    if sys.argv[1:2] == ["--one"]:
        (network,) = (network for network in all_networks() if network.key == sys.argv[2])
        print(json.dumps(compare(network).to_dict()))
        return
    words, every = sys.argv[1:], list(all_networks())
    chosen = [network for network in every if not words or any(word in network.key for word in words)]
    known: dict[str, dict[str, Any]] = json.loads(ROWS.read_text()) if words and ROWS.exists() else {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for number, (network, row) in enumerate(zip(chosen, threads.map(_row, chosen), strict=True), start=1):
            known[network.key] = row.to_dict()
            ROWS.write_text(json.dumps(known))
            found = row.failed or row.refused or "; ".join(row.differences) or "as it is"
            print(f"{number}/{len(chosen)} {row.package}/{row.name}: {row.outputs} outputs, {found}", flush=True)
    if all(network.key in known for network in every):
        write(PAGE, [Row(**known[network.key]) for network in every])


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
