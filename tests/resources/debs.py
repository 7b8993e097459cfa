"""Debian packages and repositories that tests make for themselves: nothing is fetched from anywhere."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Final

from kxflow.testing.plugin import need_program
from tests.resources.conftest import Box

REPOSITORY: Final = "/srv/debs"


def deb(
    folder: Path, name: str, version: str = "1.0", *, files: Mapping[str, str] | None = None, **fields: str
) -> Path:
    """A package in a folder; fields `Postinst` and `Postrm` are its scripts, `Conffiles` names files of it."""
    need_program("dpkg-deb")
    tree = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    tree.chmod(0o755)
    control = tree / "DEBIAN"
    control.mkdir()
    for path, text in {f"usr/share/{name}/version": version, **(files or {})}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(f"{text}\n")
    for when in ("Postinst", "Postrm"):
        if script := fields.pop(when, ""):
            (control / when.lower()).write_text(f"#!/bin/sh\n{script}\n")
            (control / when.lower()).chmod(0o755)
    if conffiles := fields.pop("Conffiles", ""):
        (control / "conffiles").write_text(f"{conffiles}\n")
    told = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": "nobody <nobody@localhost>",
        "Description": "for a test",
        **{field.replace("_", "-"): value for field, value in fields.items()},
    }
    (control / "control").write_text("".join(f"{field}: {value}\n" for field, value in told.items()))
    made = folder / f"{name}_{version.replace(':', '%3a')}_{told['Architecture']}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(made)], check=True, capture_output=True
    )
    return made


def index(folder: Path) -> None:
    """`Packages` and `Release` of the packages in a folder."""
    stanzas = []
    for each in sorted(folder.glob("*.deb")):
        data = each.read_bytes()
        control = subprocess.run(["dpkg-deb", "-f", str(each)], check=True, capture_output=True, text=True).stdout
        digest = hashlib.sha256(data).hexdigest()
        stanzas.append(f"{control.rstrip()}\nFilename: ./{each.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    packages = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(packages)
    (folder / "Packages.gz").write_bytes(gzip.compress(packages))
    lines = ["Suite: ./", "Architectures: all amd64", f"Date: {formatdate(usegmt=True)}", "SHA256:"]
    for name in ("Packages", "Packages.gz"):
        data = (folder / name).read_bytes()
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
    (folder / "Release").write_text("\n".join(lines) + "\n")


def bare(box: Box, architecture: str = "amd64") -> Path:
    """Let a box know of no package and of no source but one folder of its own; gives that folder."""
    box.sh(
        f"""
        rm -rf /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/* /etc/apt/preferences.d/*
        rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
        echo 'deb [trusted=yes] file:{REPOSITORY} ./' >/etc/apt/sources.list
        mkdir -p {REPOSITORY}
        cd /var/lib/dpkg
        rm -rf status info updates triggers
        mkdir info updates triggers
        : >status
        echo {architecture} >arch
        """
    )
    return box.path(REPOSITORY)
