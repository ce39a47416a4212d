"""Types of arrays by what their numbers are: values, sums, counts of one image and of many, lengths."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Counts = NDArray[np.int32]
LongCounts = NDArray[np.int64]
Lengths = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Keys = NDArray[np.uint32]
