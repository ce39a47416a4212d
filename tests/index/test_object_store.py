"""An index in an object store, like one in a folder; a second builder is refused when it commits."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count

import pytest
import torch
from torch import nn

import featmap as fm
from featmap.errors import IndexBusy, NoIndex
from featmap.index.store.snapshot import Snapshot
from featmap.index.store.writer import Writer

pytestmark = pytest.mark.skipif(find_spec("moto") is None, reason="the object store is played by moto, not installed")

PORT = 5057
_numbers = count()


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A server on this machine that speaks S3."""
    at = f"http://127.0.0.1:{PORT}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(PORT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(at)
        urllib.request.urlopen(urllib.request.Request(f"{at}/bucket", method="PUT")).close()
        yield at
    finally:
        server.terminate()
        server.wait()


def _wait(at: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(at).close()
        except urllib.error.URLError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError("the object store did not come up")


@pytest.fixture
def url(store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    settings = {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "REGION": "us-east-1", "ENDPOINT_URL": store}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return f"s3://bucket/photos-{next(_numbers)}.fmi"


@pytest.fixture(scope="module")
def net() -> fm.Network:
    torch.manual_seed(0)
    return fm.trace(nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU()), (3, 12, 14))


IMAGES = torch.rand(20, 3, 12, 14, generator=torch.Generator().manual_seed(0))


def test_an_index_in_a_bucket_answers_like_one_in_a_folder(url: str, net: fm.Network, tmp_path: object) -> None:
    there = fm.Index.build(net, IMAGES, url, block=8, progress=False)
    here = fm.Index.build(net, IMAGES, f"{tmp_path}/photos.fmi", block=8, progress=False)
    assert there.top("0/3", 5).to_dict() == here.top("0/3", 5).to_dict()
    assert there.audit().to_dict()["layers"] == here.audit().to_dict()["layers"]
    more = fm.Index.build(net, torch.cat([IMAGES, IMAGES[:3] + 0.5]), url, progress=False)
    assert more.report is not None
    assert (more.report.added, more.images) == (3, 23)


def test_the_second_builder_is_refused_when_it_commits(url: str, net: fm.Network, tmp_path: object) -> None:
    fm.Index.build(net, IMAGES, url, progress=False)
    second = Writer.of(Snapshot.of(url))
    block, totals = _next_block(net, url)
    Writer.of(Snapshot.of(url)).add(block, totals)
    with pytest.raises(IndexBusy, match="was changed by another builder"):
        second.add(block, totals)
    assert Snapshot.of(url).images == 24


def _next_block(net: fm.Network, url: str) -> tuple[object, object]:
    from featmap.images.entries import entries
    from featmap.images.reading import read_image
    from featmap.index.build.measure import Measurer
    from featmap.index.schema.totals import places_per_map

    snapshot = Snapshot.of(url)
    listed = list(entries([image + 1 for image in IMAGES[:4]]))
    block = Measurer(net._captured, snapshot.description).block(
        listed, 20, lambda found: [read_image(net._captured, entry) for entry in found]
    )
    return block, snapshot.totals().merged(block.totals, places_per_map(snapshot.description))


def test_there_is_no_index(url: str) -> None:
    with pytest.raises(NoIndex, match="is not an index"):
        fm.Index.open(url)
    with pytest.raises(NoIndex, match=r"cannot be stored at a ftp:// address"):
        fm.Index.open("ftp://bucket/photos.fmi")
