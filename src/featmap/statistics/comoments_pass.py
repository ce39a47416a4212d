"""Numba kernel: gathers the values of maps at the positions for co-moments."""

from __future__ import annotations

from numba import njit

from featmap.statistics.addresses import floats_at
from featmap.statistics.positions import GOLDEN


@njit(nogil=True, cache=True)
def gather(address: int, images: int, places: int, channels: int, first: int, count: int, into: int) -> None:
    """Copies the chosen positions of maps (image, position, channel), float32 at an address, to the address `into`.

    The positions are those of `featmap.statistics.positions.chosen_places` for the images' numbers, from `first` on.
    """
    rows = floats_at(into, images * count * channels)
    at = 0
    for image in range(images):
        values = floats_at(address + 4 * image * places * channels, places * channels)
        start = int((first + image) * GOLDEN % 1.0 * places) if count < places else 0
        for number in range(count):
            place = (number * places // count + start) % places
            rows[at : at + channels] = values[place * channels : (place + 1) * channels]
            at += channels
