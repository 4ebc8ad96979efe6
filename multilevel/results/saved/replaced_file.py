"""A file that is written beside its place and put there at once.

Held by tests/models/test_saving_is_atomic.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from multilevel.errors import DataError


def file_path(path: Any) -> Path:
    """Where a file is, from what the caller gave.

    Parameters
    ----------
    path : str, bytes or Path

    Raises
    ------
    DataError
        For everything else: a number would be taken for a file that the process has
        open, its standard output among them, and that file closed.

    Examples
    --------
    >>> from multilevel.results.saved.replaced_file import file_path
    >>> file_path("sleep.fit").name
    'sleep.fit'
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise DataError(
            f"{path!r} is no place of a file; give its name as text, or a Path"
        ) from None
    if "\0" in text:
        raise DataError(f"{text!r} is no place of a file: it holds a null character")
    return Path(text)


@contextlib.contextmanager
def replaced_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file to write; it takes the place of `path` when the block ends well.

    Whoever reads `path` meanwhile reads the old file whole, and after an error, an
    interrupt or a full disk the old file is still there. Only a process that is killed
    outright leaves its unfinished ``.NAME-....part`` behind.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    file
        In the folder of `path`, so that it can be moved there in one step.
    """
    # A link goes on pointing to its file.
    place = Path(os.path.realpath(file_path(path)))
    _refuse_folder(place, path)
    if not place.parent.is_dir():
        # Of the folder; the name of the unfinished file would only confuse.
        problem = errno.ENOENT
        raise FileNotFoundError(problem, os.strerror(problem), str(place.parent))
    handle, name = tempfile.mkstemp(
        prefix=f".{place.name[:100]}-", suffix=".part", dir=place.parent
    )
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(written, _permissions(place))
        os.replace(written, place)
    except BaseException:
        with contextlib.suppress(OSError):
            written.unlink()
        raise
    _flush_folder(place.parent)


def refuse_unwritable(path: str | Path) -> None:
    """Find out, before any work is done, whether `replaced_file` can write there.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to, or `path` is a folder.
    """
    place = Path(os.path.realpath(file_path(path)))
    _refuse_folder(place, path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{place.name[:100]}-", suffix=".part", dir=place.parent
        )
        os.close(handle)
        os.unlink(name)
    except OSError as problem:
        raise DataError(
            f"{str(path)!r} cannot be written ({problem.strerror}); choose a folder "
            "that exists and that you may write to"
        ) from None


def _refuse_folder(place: Path, path: str | Path) -> None:
    if place.is_dir():
        raise DataError(f"{str(path)!r} is a folder; add the name of a file")


def _permissions(place: Path) -> int:
    """Those of the file that is replaced, or what a new file would get."""
    if place.exists():
        return place.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _flush_folder(folder: Path) -> None:
    """Make the new name last through a power failure, where the system can do so."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
