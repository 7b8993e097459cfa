"""What a fleet needs and this machine has not."""

from __future__ import annotations

import os
import shutil
from typing import Final

from attrs import frozen

from kxflow.values.errors import KxflowError

_PACKAGES: Final = {"sshd": "openssh-server", "sudo": "sudo", "useradd": "passwd", "ssh-agent": "openssh-client"}
_PLACES: Final = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/libexec")


@frozen
class MissingError(KxflowError, RuntimeError):
    """A program, or a right, that this machine does not give.

    Attributes:
        what: What is missing.
        remedy: What to do about it.
    """

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


def program(name: str) -> str:
    """The path of a program, found also where an ordinary user's PATH does not look.

    Raises:
        MissingError: It is not installed; the text names the package.
    """
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_PLACES))
    found = shutil.which(name, path=places)
    if found is None:
        raise MissingError(f"{name} is not installed", f"apt install {_PACKAGES.get(name, name)}")
    return os.path.abspath(found)  # noqa: PTH100 -- links stay: rbash is one, and sshd needs an absolute path
