"""Fingerprints of a network and of its preprocessing: sixteen digits of a digest each."""

from __future__ import annotations

import hashlib
import json

import torch

from featmap.network.network import CapturedNetwork


def network_fingerprint(network: CapturedNetwork) -> str:
    """What the network computes: its operators and their settings, its input's shape, and every weight."""
    made = hashlib.sha256(repr(network.input_shape).encode())
    for node in network.graph:
        made.update(f"{node.index} {node.operator} {node.args} {sorted(node.kwargs.items())}\n".encode())
    for name in sorted(network.tensors):
        tensor = network.tensors[name].detach().cpu().contiguous()
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        made.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))  # type: ignore[arg-type]
    return made.hexdigest()[:16]


def preprocessing_fingerprint(network: CapturedNetwork) -> str:
    """The steps from a picture to the network's input; not the record that they come from."""
    record = {key: value for key, value in network.preprocessing.to_dict().items() if key != "source"}
    if record["fit"] is None:
        # As before there were fits: indexes built then still belong to their networks.
        del record["fit"], record["fill"]
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
