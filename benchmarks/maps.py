"""All activations of a batch of 8 at 224 x 224, against torchvision's `create_feature_extractor` for the same nodes."""

from __future__ import annotations

import torch

import featmap as fm
from benchmarks.measure import paired, table
from featmap.network.network import CapturedNetwork
from featmap.sources.zoo import import_torchvision

NETWORKS = ("vgg16", "resnet50", "squeezenet1_1", "mobilenet_v2")


def run() -> str:
    import_torchvision()
    rows = [_row(name) for name in NETWORKS]
    columns = ["network", "values", "featmap s", "create_feature_extractor s", "faster", "largest difference"]
    return (
        "## Feature maps of a batch\n\n"
        "Every layer's activation (its last stage, where it has none), batch 8, 3 x 224 x 224, float32; the same nodes "
        "asked of torchvision's `create_feature_extractor` under `torch.no_grad`, on the network built with modules "
        "that write in place replaced by ones that do not, since it would hand over overwritten values otherwise. "
        "`values`: how many of them its tracer names too. "
        "Median of 5 paired rounds; the difference is relative to the largest value of the layer.\n\n"
        + table(columns, rows)
    )


def _row(name: str) -> list[str]:
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    torch.manual_seed(0)
    module = get_model(name).eval()
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    net = fm.trace(module, (3, 224, 224))
    nodes = extractor_nodes(net._captured, module)
    extractor = create_feature_extractor(module, return_nodes=nodes)
    images = torch.randn(8, 3, 224, 224)

    def theirs() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return extractor(images)

    def ours() -> object:
        return net.maps(images, list(nodes.values()), progress=False)

    found, expected = net.maps(images, list(nodes.values()), progress=False), theirs()
    difference = max(
        float((found[key].values.flatten() - expected[key].flatten()).abs().max() / expected[key].abs().max())
        for key in nodes.values()
    )
    pair = paired(ours, theirs)
    ours_s, theirs_s = sorted(pair.ours)[2], sorted(pair.theirs)[2]
    return [name, str(len(nodes)), f"{ours_s:.3f}", f"{theirs_s:.3f}", pair.ratio_text(), f"{difference:.1e}"]


def extractor_nodes(network: CapturedNetwork, module: torch.nn.Module) -> dict[str, str]:
    """torchvision's node names for our layers, with our full addresses."""
    from torchvision.models.feature_extraction import get_graph_node_names

    _, known = get_graph_node_names(module)
    found: dict[str, str] = {}
    for place in network.layer_places():
        name = network.names.operator[place.node]
        theirs = f"{name.path}_{name.number - 1}" if name.number > 1 else name.path
        if theirs in known:
            found[theirs] = place.key
    return found
