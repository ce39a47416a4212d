"""Training of the demo's network, which tells the photographs apart, in about a minute; kept for the next run.

The same settings give the same weights on the same machine. Everything random is drawn from generators of its own, so
the caller's random state stays as it was, and nothing is written before the training is complete.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from featmap.demo.crops import PHOTOGRAPHS, crops
from featmap.demo.kept import WEIGHTS_NAME, Record, keep, read_kept
from featmap.demo.network import demo_network, initialised
from featmap.demo.samples import MEAN, STD, Samples, normalised, samples, training_batches


@dataclass(frozen=True)
class Settings:
    """Everything that decides the trained weights, apart from the machine's rounding; crops count per photograph."""

    seed: int = 0
    training_crops: int = 400
    test_crops: int = 100
    epochs: int = 9
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    grey_share: float = 0.3

    @property
    def digest(self) -> str:
        """The same for the same settings, photographs and layers."""
        decisive = [asdict(self), PHOTOGRAPHS, MEAN, STD, str(initialised(0))]
        return sha256(json.dumps(decisive).encode()).hexdigest()


STANDARD = Settings()

__all__ = ["STANDARD", "Settings", "TrainedNetwork", "accuracy", "demo_network", "train", "trained_network"]


@dataclass(frozen=True)
class TrainedNetwork:
    """The network in evaluation mode, its weights file and what was measured."""

    module: nn.Module
    weights: Path
    record: Record


def trained_network(folder: Path = Path("demo"), settings: Settings = STANDARD) -> TrainedNetwork:
    """The trained network: read from `folder` if it was kept there for these settings, otherwise trained and kept.

    Progress and the measured accuracy go to standard error. Nothing is written before the training is complete.

    Raises: OutputError: the folder cannot be written. ImageMissing, MissingPackage: the photographs are not there.
    """
    console = Console(stderr=True)
    kept = read_kept(folder, settings.digest)
    weights, record = kept or train(settings, console)
    if kept is None:
        keep(weights, record, folder)
    console.print(_summary(record, reused_from=folder if kept else None), soft_wrap=True, markup=False)
    module = initialised(settings.seed)
    module.load_state_dict(weights)
    return TrainedNetwork(module.eval(), folder / WEIGHTS_NAME, record)


def _summary(record: Record, reused_from: Path | None) -> str:
    source = f"kept in {reused_from / WEIGHTS_NAME}" if reused_from else f"trained in {record.training_s:.0f} s"
    return (
        f"Network {source}: it names the photograph of {record.accuracy:.1%} of {record.test_crops} crops from areas "
        f"it never saw; guessing would name {record.chance:.1%}."
    )


def train(settings: Settings, console: Console) -> tuple[dict[str, Tensor], Record]:
    """Weights trained from scratch, and what was measured; shows a progress bar and leaves the random state alone."""
    start_s = time.perf_counter()
    test = samples(crops("test", settings.test_crops, settings.seed))
    network = initialised(settings.seed)
    _fit(network, samples(crops("train", settings.training_crops, settings.seed)), settings, console)
    record = Record(
        classes=PHOTOGRAPHS,
        mean=MEAN,
        std=STD,
        seed=settings.seed,
        accuracy=accuracy(network, test),
        chance=1 / len(PHOTOGRAPHS),
        test_crops=len(test),
        training_s=round(time.perf_counter() - start_s, 1),
        settings_digest=settings.digest,
    )
    return network.state_dict(), record


def _fit(network: nn.Module, source: Samples, settings: Settings, console: Console) -> None:
    random = torch.Generator().manual_seed(settings.seed)
    steps = settings.epochs * (len(source) // settings.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, steps, pct_start=0.2)
    with _bar(console) as bar:
        task = bar.add_task("training", total=steps, loss=float("nan"), accuracy=float("nan"))
        for _ in range(settings.epochs):
            for images, labels in training_batches(source, settings.batch_size, settings.grey_share, random):
                loss, correct = _step(network, optimizer, images, labels)
                schedule.step()
                bar.update(task, advance=1, loss=loss, accuracy=correct)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> tuple[float, float]:
    scores = network(images)
    loss = nn.functional.cross_entropy(scores, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), _share_correct(scores, labels)


def _share_correct(scores: Tensor, labels: Tensor) -> float:
    return (scores.argmax(1) == labels).double().mean().item()


@torch.inference_mode()
def accuracy(network: nn.Module, source: Samples, batch_size: int = 200) -> float:
    """The share of the samples whose photograph has the highest score."""
    scores = [network(normalised(pixels / 255)) for pixels in source.pixels.split(batch_size)]
    return _share_correct(torch.cat(scores), source.labels)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.2f}, accuracy {task.fields[accuracy]:4.0%}"),
        TimeRemainingColumn(),
        console=console,
    )
