"""Storage of an index: an icechunk repository with one builder, in a folder or at an object store's URL."""

from __future__ import annotations

import atexit
import errno
import glob
import os
import re
import secrets
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from featmap.errors import FeatmapError, IndexBroken, IndexBusy, NoIndex, WorkError

_URL = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<rest>.*)")
_SCHEMES = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://ACCOUNT/CONTAINER/PREFIX"
LOCK = "builder.lock"
VERIFY = "`featmap index verify` says what is wrong."
_ENDING_S = 0.05
_REMAINS = {"chunks", "manifests", "snapshots", "transactions"}


def is_url(path: str | Path) -> bool:
    """Whether an index is in an object store."""
    return _URL.fullmatch(str(path)) is not None


def storage_of(path: str | Path) -> Any:
    """icechunk's storage at a path or URL; credentials come from the environment. Raises: NoIndex."""
    import icechunk

    _check_process()
    _let_threads_end()
    # icechunk warns on every opening that folders are not safe for concurrent commits; here a lock prevents them.
    icechunk.set_logs_filter("error")
    found = _URL.fullmatch(str(path))
    if found is None:
        return icechunk.local_filesystem_storage(str(path))
    scheme, (first, *rest) = found["scheme"], found["rest"].split("/")
    if scheme == "s3":
        return icechunk.s3_storage(bucket=first, prefix="/".join(rest), from_env=True, **_endpoint())
    if scheme in ("gs", "gcs"):
        return icechunk.gcs_storage(bucket=first, prefix="/".join(rest), from_env=True)
    if scheme == "az" and rest:
        return icechunk.azure_storage(account=first, container=rest[0], prefix="/".join(rest[1:]), from_env=True)
    raise NoIndex(f"'{path}': an index cannot be stored at a {scheme}:// address.", f"Give a folder, or {_SCHEMES}.")


@lru_cache(maxsize=1)
def _let_threads_end() -> None:
    """Gives icechunk's threads a moment before the process ends.

    A thread that hands over a result still needs the interpreter just after. Where that is shutting down
    already, Python before 3.14 ends the thread in the middle of Rust code, which aborts the process (one in fifty
    of scripts that ended right after a question).
    """
    atexit.register(time.sleep, _ENDING_S)


def _endpoint() -> dict[str, Any]:
    """The address of an S3 store that is not Amazon's."""
    url = os.environ.get("AWS_ENDPOINT_URL")
    return {"endpoint_url": url, "allow_http": url.startswith("http:"), "force_path_style": True} if url else {}


def has_repository(path: str | Path) -> bool:
    """Whether there is an icechunk repository at a path or URL. Raises: IndexBroken."""
    import icechunk

    if not is_url(path) and not Path(path).is_dir():
        return False
    with guarded(path):
        return icechunk.Repository.exists(storage_of(path))


def has_remains(path: str | Path) -> bool:
    """Whether a folder holds parts of a repository, however damaged."""
    return not is_url(path) and sum((Path(path) / part).is_dir() for part in _REMAINS) >= 2


def opened(path: str | Path) -> Any:
    """The repository at a path or URL. Raises: NoIndex, IndexBroken."""
    import icechunk

    if not is_url(path):
        _check_folder(Path(path))
    if not has_repository(path):
        if has_remains(path):
            raise IndexBroken(f"'{path}' holds parts of an index, whose branch is lost.", VERIFY)
        raise NoIndex(f"'{path}' is not an index.", f"Build one: featmap index build MODEL IMAGES -o {path}.")
    with guarded(path):
        return icechunk.Repository.open(storage_of(path))


def _check_folder(path: Path) -> None:
    if not path.exists():
        raise NoIndex(f"There is no index '{path}'.", f"Build one: featmap index build MODEL IMAGES -o {path}.")
    if not path.is_dir():
        raise NoIndex(f"'{path}' is a file, no index.", "An index is a folder; give its path.")


@contextmanager
def created(path: str | Path) -> Generator[Any]:
    """A new repository, which appears at a path once the context ends without an error, at a URL at once.

    Raises: NoIndex: something else is there. IndexBusy: another builder was faster.
    """
    import icechunk

    if is_url(path):
        with guarded(path):
            yield icechunk.Repository.open_or_create(storage_of(path))
        return
    folder = Path(path)
    _check_free(folder)
    # A builder that is killed here leaves a hidden folder beside it, never half an index.
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        with guarded(path):
            folder.parent.mkdir(parents=True, exist_ok=True)
            yield icechunk.Repository.create(storage_of(part))
            _appear(part, folder)
    except (IndexBroken, IndexBusy):
        # The builder that was faster deletes what others have started.
        if has_repository(folder):
            raise _busy(folder) from None
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _appear(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _busy(folder) from None
        raise


def sweep(path: str | Path) -> None:
    """Deletes unfinished parts of an index in a folder, and temporary folders beside it; for its one builder."""
    folder = Path(path)
    for part in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        shutil.rmtree(part, ignore_errors=True)
    # A file is written under a name with '#' and renamed.
    for file in folder.rglob("*#*"):
        file.unlink(missing_ok=True)


def _busy(path: str | Path) -> IndexBusy:
    return IndexBusy(f"'{path}' is being built by another process.", "Wait until it is done, then build again.")


def _check_free(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise NoIndex(f"'{path}' exists and is not an index.", "Choose another path.")
    others = sorted(part.name for part in path.iterdir()) if path.is_dir() else []
    if others and has_repository(path):
        with guarded(path):
            if next(opened(path).ancestry(branch="main")).parent_id is not None:
                raise _busy(path)
    if others:
        raise NoIndex(
            f"The folder '{path}' exists and is not an index: it holds {', '.join(others[:3])}"
            f"{' and more' if len(others) > 3 else ''}.",
            "Choose another path.",
        )


_used_in: list[int] = []
"""The process that icechunk was first used in: this one, or the one that it was forked from."""


def _check_process() -> None:
    """Raises WorkError in a process that was forked after icechunk was used.

    The reading threads do not exist there; a question would wait for them forever.
    """
    if not _used_in:
        _used_in.append(os.getpid())
    if _used_in[0] != os.getpid():
        raise WorkError(
            "An index was used before this process was forked, and cannot be used in the fork.",
            "Start the process by spawning (DataLoader: multiprocessing_context='spawn'), or use no index before.",
        )


@contextmanager
def guarded(path: str | Path) -> Generator[None]:
    """Turns errors while reading or writing into IndexBroken, with the reason."""
    import icechunk

    _check_process()
    try:
        yield
    except FeatmapError:
        raise
    except BaseException as error:
        if not isinstance(error, (icechunk.IcechunkError, *_DAMAGE)) and not _is_panic(error):
            raise
        raise broken(path, error) from error


_DAMAGE = (OSError, ValueError, KeyError, RuntimeError, TypeError)
"""What zarr and the system raise at files that are not as they were written."""


def _is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked, as icechunk's does on some damaged files; the classes have no name to import."""
    return type(error).__name__ in ("PanicException", "RustPanic")


def broken(path: str | Path, error: BaseException) -> IndexBroken:
    """What could not be read or written, in one line."""
    lines = [re.sub(r"^[\W_]*(x )?", "", line).strip() for line in str(error).splitlines()]
    said = next((line for line in lines if line and not line.startswith("context")), type(error).__name__)
    full = "No space left on device" in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    remedy = "Make room and go on: build again." if full else VERIFY
    return IndexBroken(f"'{path}': {'no space left on the disk' if full else said}.", remedy)


@contextmanager
def only_builder(path: str | Path) -> Generator[None]:
    """Holds off other builders of an index in a folder; in an object store a second one is refused when it commits.

    Raises: IndexBusy.
    """
    if is_url(path):
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(Path(path) / LOCK)
    with guarded(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise _busy(path) from None
    try:
        yield
    finally:
        # The file stays: deleting it could delete the one that another builder has locked by now.
        lock.release()
