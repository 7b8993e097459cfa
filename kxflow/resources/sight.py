"""Whoever may not look cannot say that nothing is there."""

from __future__ import annotations

from kxflow.resources.paths import sh


def sighted(path: str) -> str:
    """Shell text that fails where it cannot be known whether there is something at a path.

    A shell's own tests take "may not look" for "is not there", and a thing to be taken away would count as gone.
    """
    where = sh(path)
    return (
        f"[ -e {where} ] || [ -h {where} ] || case $(LC_ALL=C ls -d -- {where} 2>&1) in\n"
        f"*'ermission denied'*) kx_no {sh(f'this user cannot see whether there is {path}')} ;; esac\n"
    )
