"""The container of a saved fit: a zip archive of one JSON document and NumPy arrays.

Reading is bounded by the size of the file: no member may be packed more tightly than
`TIGHTEST`, members do not overlap, and an array is as large as its member says. Nothing
is unpickled.

Held by tests/models/test_tampered_files.py and tests/models/test_hostile_files.py.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from multilevel.errors import DataError
from multilevel.results.saved.replaced_file import replaced_file

FORMAT = "multilevel fit"
VERSION = 3
DOCUMENT = "fit.json"
TIGHTEST = 20
"""How many times larger than in the file a member may be once it is read."""

Array: TypeAlias = np.ndarray[Any, Any]

_FREE_BYTES = 1 << 12  # small members may be packed as tightly as they like
_MEMBER = re.compile(r"fit\.json|array\d{1,6}\.npy")
_DATE = (1980, 1, 1, 0, 0, 0)  # the same fit gives the same file


def write_container(path: str | Path, tree: Any, arrays: Mapping[str, Array]) -> None:
    """Write a document and its arrays; an older file is replaced at once or not at all.

    Parameters
    ----------
    path : str or Path
    tree : dicts, lists and plain values
    arrays : mapping
        Name -> array of booleans, integers or floats.
    """
    header = {"format": FORMAT, "version": VERSION, "document": tree}
    text = json.dumps(header, allow_nan=False).encode()
    with replaced_file(path) as file:
        too_tight = _write_members(file, text, arrays, as_they_are=())
        if too_tight:
            file.seek(0)
            file.truncate()
            _write_members(file, text, arrays, as_they_are=too_tight)


def _write_members(
    file: IO[bytes],
    text: bytes,
    arrays: Mapping[str, Array],
    as_they_are: Collection[str],
) -> list[str]:
    """Write all members, and return those that were packed more than is read."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        archive.writestr(_member(DOCUMENT, as_they_are), text, compresslevel=3)
        for name, array in arrays.items():
            buffer = BytesIO()
            np.lib.format.write_array(buffer, array, (1, 0), allow_pickle=False)
            member = _member(f"{name}.npy", as_they_are)
            archive.writestr(member, buffer.getbuffer(), compresslevel=3)
        return [found.filename for found in archive.infolist() if _is_tight(found)]


def _member(name: str, as_they_are: Collection[str]) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    if name not in as_they_are:
        member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _is_tight(member: zipfile.ZipInfo) -> bool:
    return member.file_size > _FREE_BYTES + TIGHTEST * member.compress_size


@dataclass(slots=True)
class Container:
    """What a file holds, read piece by piece.

    Attributes
    ----------
    archive : ZipFile
    sizes : dict
        Member -> bytes once it is read.
    taken : set
        Arrays that were read; each belongs to one place of the document.
    """

    archive: zipfile.ZipFile
    sizes: dict[str, int]
    taken: set[str] = field(default_factory=set)

    @staticmethod
    def of(file: IO[bytes]) -> Container:
        """Look at the members' sizes and names before anything is read.

        Raises
        ------
        DataError
            For members that are not those of a saved fit, or packed too tightly.
        """
        n_bytes = file.seek(0, os.SEEK_END)
        archive = zipfile.ZipFile(file)
        members = archive.infolist()
        sizes = {member.filename: member.file_size for member in members}
        odd = [name for name in sizes if not _MEMBER.fullmatch(name)]
        if odd or len(sizes) < len(members) or DOCUMENT not in sizes:
            raise DataError("it has members that no saved fit has, or one twice")
        if sum(member.compress_size for member in members) > n_bytes:
            raise DataError("its members are larger than the file can hold")
        for member in members:
            if _is_tight(member):
                raise DataError(f"its member {member.filename!r} is packed too tightly")
        return Container(archive, sizes)

    def document(self) -> Any:
        """The JSON document.

        Raises
        ------
        DataError
            If it is another program's, or of another version.
        """
        header = json.loads(self._content(DOCUMENT), parse_constant=_refuse_constant)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise DataError("it is another program's file")
        version = header.get("version")
        if type(version) is not int or version != VERSION:
            newer = type(version) is int and version > VERSION
            advice = "update multilevel" if newer else "fit the model again and save it"
            raise DataError(
                f"it was written in version {version!r:.20} of the file format, this "
                f"multilevel reads version {VERSION}; {advice}"
            )
        return header["document"]

    def array(self, name: str) -> Array:
        """An array, read-only; each can be asked for once.

        Raises
        ------
        DataError
            If its shape does not fit its size, or it holds anything but numbers.
        """
        if name in self.taken:
            raise DataError(f"its array {name!r} stands in two places")
        self.taken.add(name)
        content = self._content(f"{name}.npy")
        head = BytesIO(content[: 1 << 14])
        if np.lib.format.read_magic(head) != (1, 0):
            raise DataError(f"its array {name!r} is of another format")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(head)
        start = head.tell()
        n_entries = 1
        for extent in shape:
            n_entries *= int(extent)
        is_plain = dtype.kind in "biuf" and min(shape, default=0) >= 0
        if not is_plain or n_entries * dtype.itemsize != len(content) - start:
            raise DataError(f"its array {name!r} is no array of {shape} numbers")
        flat = np.frombuffer(content, dtype, n_entries, start)
        return flat.reshape(shape, order="F" if is_fortran else "C")

    def refuse_unread(self) -> None:
        """Raise if the file holds an array that the document does not name."""
        if len(self.taken) + 1 != len(self.sizes):
            raise DataError("it holds arrays that belong to nothing")

    def _content(self, member: str) -> bytes:
        content = self.archive.read(member)
        if len(content) != self.sizes[member]:
            raise DataError(f"its member {member!r} is cut short")
        return content


def _refuse_constant(text: str) -> None:
    raise DataError(f"its document holds {text}")
