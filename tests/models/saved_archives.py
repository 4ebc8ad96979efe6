"""Saved fits taken apart and put together again, as a stranger would."""

from __future__ import annotations

import io
import json
import zipfile


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def file_of(members, path, compression=zipfile.ZIP_DEFLATED):
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return path


def rewritten(content, path, change):
    """The file after a change of its document."""
    members = members_of(content)
    header = json.loads(members["fit.json"])
    change(header)
    members["fit.json"] = json.dumps(header)
    return file_of(members, path)


def expressions_in(tree):
    """The parts of every expression in a document."""
    if isinstance(tree, dict):
        if "record" in tree and tree["record"][0] == "Expression":
            yield tree["record"][1]
        for value in tree.values():
            yield from expressions_in(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from expressions_in(value)


FORMULA = "Reaction ~ Days + (Days | Subject)"
