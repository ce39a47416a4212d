"""Loading by name: every kind of name gives its network, and for every other name the error says why not."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import featmap as fm
from featmap.errors import (
    InputError,
    MissingPackage,
    ModelError,
    NoSuchModel,
    QuestionError,
    UnsafeFile,
    WeightsMismatch,
)
from featmap.network.tensors import RandomWeights
from featmap.sources.zoo import import_torchvision, timm_model, torchvision_model
from support.closeness import assert_close
from support.zoo_networks import seeded

FORMS = "A model is torchvision:NAME, timm:NAME, package.module:callable or a file made by torch.export (.pt2)."
SHAPE = (3, 32, 24)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own on the path, with models of every kind."""
    (tmp_path / "own_models.py").write_text(
        "import torch\n"
        "class Small(torch.nn.Sequential):\n"
        "    input_shape = (3, 9, 8)\n"
        "    def __init__(self):\n"
        "        super().__init__(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())\n"
        "class Silent(Small):\n"
        "    input_shape = None\n"
        "def build():\n"
        "    return Small()\n"
        "built = Small()\n"
        "def nothing():\n"
        "    return 3\n"
    )
    (tmp_path / "needs_more.py").write_text("import a_package_that_does_not_exist\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_models"
    sys.modules.pop("own_models", None)


def test_a_torchvision_network() -> None:
    net = fm.load("torchvision:squeezenet1_1")
    assert repr(net) == "Network(torchvision:squeezenet1_1: input 3x224x224, 34 layers, weights: random (seed 0))"
    assert net.preprocessing.source == "torchvision SqueezeNet1_1_Weights.IMAGENET1K_V1"


def test_a_timm_network_of_another_size() -> None:
    pytest.importorskip("timm")
    net = fm.load("timm:tf_mobilenetv3_small_minimal_100", input_shape=(3, 65, 47))
    assert net.input_shape == (3, 65, 47)
    assert net.plan().layers[-1].output_shape == (1000,)


def test_planning_a_network_makes_no_weights_and_values_come_from_seeded_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = fm.load("torchvision:squeezenet1_1", input_shape=(3, 48, 40))
        plan = net.plan()
    assert plan.weights_source == "none loaded; where values are asked for they are random (seed 0)"
    image = torch.rand(1, 3, 48, 40)
    before = torch.get_rng_state()
    text = "torchvision:squeezenet1_1 has no trained weights: its values come from random weights (seed 0)."
    with pytest.warns(RandomWeights) as record:
        values = net.maps(image, "features.0")["features.0"].values
    assert [str(entry.message) for entry in record] == [text]
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = import_torchvision().models.squeezenet1_1().eval()
    with torch.no_grad():
        assert_close(values, torch.relu(module.features[0](image)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(net.maps(image, "features.0")["features.0"].values, values)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(tmp_path: Path, suffix: str) -> None:
    module = seeded(import_torchvision().models.squeezenet1_1()).eval()
    path = tmp_path / f"weights{suffix}"
    save_file(module.state_dict(), path) if suffix == ".safetensors" else torch.save(module.state_dict(), path)
    net = fm.load("torchvision:squeezenet1_1", weights=path, input_shape=(3, 48, 40))
    assert repr(net).endswith(f"weights: {path})")
    image = torch.rand(1, 3, 48, 40)
    with torch.no_grad():
        assert_close(net.maps(image, "features.3")["features.3"].values, module.features[:4](image))


@pytest.mark.parametrize("name", ["Small", "build", "built"])
def test_a_model_of_ones_own(own_module: str, name: str) -> None:
    net = fm.load(f"{own_module}:{name}", input_shape=(3, 9, 8))
    assert net.input_shape == (3, 9, 8)
    assert net.plan()["0"].output_shape == (4, 7, 6)
    assert net.maps(torch.rand(1, 3, 9, 8))["0"].weights_source == "as the model's own code made them"


def test_a_model_of_ones_own_that_is_built_has_the_same_weights_every_time(own_module: str) -> None:
    image = torch.rand(1, 3, 9, 8)
    first, second = (fm.load(f"{own_module}:Small").maps(image)["0"].values for _ in range(2))
    assert torch.equal(first, second)


def test_zoo_models_without_a_file_do_not_run_what_they_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)
    net = fm.load("torchvision:vgg11")
    assert net.plan().totals.parameters == 132_863_336


@pytest.mark.parametrize(
    ("model", "kind", "text"),
    [
        ("resnet18", NoSuchModel, f"'resnet18' names no model.\n\n{FORMS}"),
        ("torchvison", NoSuchModel, f"'torchvison' names no model.\n\n{FORMS} The nearest names are torchvision."),
        ("torchvision:", NoSuchModel, f"'torchvision:' names no model.\n\n{FORMS} The nearest names are torchvision."),
        (
            "torchvision:resnet19",
            NoSuchModel,
            "torchvision has no model 'resnet19'.\n\nThe nearest names are resnet18, resnet152, resnet101.",
        ),
        (
            "torchvision:fasterrcnn_resnet50_fpn",
            NoSuchModel,
            "torchvision's 'fasterrcnn_resnet50_fpn' does not classify pictures or videos.\n\n"
            "Build it in a function of your own and name that: package.module:callable.",
        ),
        (
            "timm:resnet51",
            NoSuchModel,
            "timm has no model 'resnet51'.\n\nThe nearest names are resnet51q, resnet50, resnet18.",
        ),
        ("no_such_module:build", NoSuchModel, f"There is no Python module 'no_such_module'.\n\n{FORMS}"),
        (
            "own_models:buld",
            NoSuchModel,
            "The module 'own_models' has no 'buld'.\n\nThe nearest names are build, built.",
        ),
        (
            "own_models:Silent",
            InputError,
            "'own_models:Silent' does not say what input it takes.\n\nGive the input shape (--input CxHxW).",
        ),
        ("model.onnx", NoSuchModel, f"'model.onnx' is not a file that featmap reads as a model.\n\n{FORMS}"),
        ("model.pth", NoSuchModel, f"'model.pth' is not a file that featmap reads as a model.\n\n{FORMS}"),
        (
            "model.pt2",
            NoSuchModel,
            "There is no file 'model.pt2'.\n\nGive the path of a file made by torch.export.save.",
        ),
    ],
)
def test_names_that_give_no_network(own_module: str, model: str, kind: type[QuestionError], text: str) -> None:
    with pytest.raises(kind) as caught:
        fm.load(model)
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert caught.value.exit_code == 2


def test_what_gives_no_module_is_refused(own_module: str) -> None:
    with pytest.raises(ModelError) as caught:
        fm.load("own_models:nothing", input_shape=(3, 9, 8))
    assert str(caught.value) == (
        "'own_models:nothing' gave a int, not a torch.nn.Module.\n\n"
        "Name a module, its class, or a function without arguments that returns one."
    )


def test_a_module_that_lacks_a_package_of_its_own_says_which(own_module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_does_not_exist"):
        fm.load("needs_more:build")


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, -1, 3), (), "3x64x64", (3, 64.0, 64)])
def test_a_shape_that_is_none_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        fm.load("torchvision:squeezenet1_1", input_shape=shape)
    assert str(caught.value) == (
        f"{shape!r} is not the shape of an image.\n\n"
        "Give (channels, rows, columns) as whole numbers, such as (3, 224, 224)."
    )


def test_a_shape_without_rows_and_columns_is_refused_by_the_layer_that_needs_them() -> None:
    with pytest.raises(InputError, match=r"^'features\.0' cannot take its input; the network was given 1 x 3: "):
        fm.load("torchvision:squeezenet1_1", input_shape=(3,))


def test_weights_that_are_neither_a_file_nor_a_name_are_refused(own_module: str) -> None:
    with pytest.raises(NoSuchModel) as caught:
        fm.load("own_models:Small", weights="DEFAULT")
    assert str(caught.value) == "There is no weights file 'DEFAULT'.\n\nGive the path of a weights file."
    with pytest.raises(NoSuchModel) as caught:
        fm.load("own_models:Small", weights="folder/none.pt")
    assert caught.value.problem == f"There is no weights file '{Path('folder/none.pt')}'."
    with pytest.raises(WeightsMismatch) as wrong:
        fm.load("torchvision:squeezenet1_1", weights="IMAGENET1K_V9")
    assert str(wrong.value) == (
        "torchvision:squeezenet1_1 has no weights 'IMAGENET1K_V9'.\n\n"
        "torchvision offers IMAGENET1K_V1, DEFAULT, or give a file."
    )


@pytest.mark.parametrize(
    ("model", "weights", "kind", "text"),
    [
        (
            "resnet18",
            "a9_in1k",
            WeightsMismatch,
            "timm:resnet18 has no weights 'a9_in1k'.\n\ntimm offers a1_in1k, a2_in1k, a3_in1k, ",
        ),
        (
            "convnext_atto_rms",
            "DEFAULT",
            WeightsMismatch,
            "timm:convnext_atto_rms has no weights 'DEFAULT'.\n\ntimm has none; give a file.",
        ),
        (
            "resnet18.a9_in1k",
            None,
            NoSuchModel,
            "timm has no model 'resnet18.a9_in1k'.\n\nThe nearest names are resnet18.a",
        ),
    ],
)
def test_weights_that_timm_does_not_have(model: str, weights: str | None, kind: type[QuestionError], text: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(kind) as caught:
        fm.load(f"timm:{model}", weights=weights)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("model", "weights", "made"),
    [
        ("resnet18", None, ("resnet18", False)),
        ("resnet18", "DEFAULT", ("resnet18", True)),
        ("resnet18", "fb_ssl_yfcc100m_ft_in1k", ("resnet18.fb_ssl_yfcc100m_ft_in1k", True)),
        ("resnet18.a2_in1k", "DEFAULT", ("resnet18.a2_in1k", True)),
        ("resnet18.a2_in1k", "a2_in1k", ("resnet18.a2_in1k", True)),
    ],
)
def test_timm_is_asked_for_the_weights_of_that_name(
    monkeypatch: pytest.MonkeyPatch, model: str, weights: str | None, made: tuple[str, bool]
) -> None:
    timm = pytest.importorskip("timm")
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: asked.append((name, pretrained)))
    zoo = timm_model(model, weights)
    zoo.build()
    assert asked == [made]
    assert zoo.preprocessing.source == f"timm {made[0]}"


def test_weights_of_another_network_are_refused(tmp_path: Path, own_module: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"0.weight": torch.zeros(4, 3, 5, 5)}, path)
    with pytest.raises(WeightsMismatch) as caught:
        fm.load("own_models:Small", weights=path)
    assert caught.value.problem == (
        f"'{path}' holds the weights of another network; 2 of its tensors do not fit:\n"
        "  missing in the file: 0.bias (4)\n"
        "  0.weight: the network has (4, 3, 3, 3), the file (4, 3, 5, 5)"
    )


def test_trust_reaches_the_weights_file(tmp_path: Path, own_module: str) -> None:
    path = tmp_path / "module.pt"
    torch.save(nn.Sequential(nn.Conv2d(3, 4, 3)), path)
    with pytest.raises(UnsafeFile):
        fm.load("own_models:Small", weights=path)
    assert fm.load("own_models:Small", weights=path, trust=True).input_shape == (3, 9, 8)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackage) as caught:
        timm_model("resnet18", None)
    assert str(caught.value) == (
        "timm cannot be imported (import of timm halted; None in sys.modules).\n\n"
        "Install it: pip install 'featmap[zoo]'."
    )


def test_the_zoos_own_weights_are_asked_of_the_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    models = import_torchvision().models
    asked: list[object] = []
    monkeypatch.setattr(models, "get_model", lambda _, weights, **__: asked.append(weights) or nn.Identity())
    torchvision_model("resnet18", "DEFAULT").build()
    torchvision_model("resnet18", "IMAGENET1K_V1").build()
    torchvision_model("resnet18", None).build()
    weights = models.ResNet18_Weights
    assert asked == [weights.DEFAULT, weights.IMAGENET1K_V1, None]


def test_values_of_the_live_module_are_its_present_ones() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    net = fm.trace(module, SHAPE)
    image = torch.rand(1, *SHAPE)

    def own() -> Tensor:
        with torch.no_grad():
            return module(image)

    assert_close(net.maps(image)["0"].values, own())
    with torch.no_grad():
        module[0].weight.mul_(-2)
    assert_close(net.maps(image)["0"].values, own())
