"""Settings of every test run: one thread per worker, pictures without a screen.

They are set before anything imports torch or matplotlib, and commands that tests start inherit them.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
