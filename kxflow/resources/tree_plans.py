"""What leads from one list of a folder to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from kxflow.resources.trees import Entry


@frozen
class Plan:
    """What it takes to get from one list to another; names in the order in which it is done.

    Attributes:
        refused: Why it cannot be done, where it cannot.
        clear: Links and files where folders are to be.
        wipe: Folders where files or links are to be.
        folders: To make.
        links: To make.
        files: To send.
        rights: Things that only have another mode or owner, and new folders.
        gone: Files and links to take away.
        empty: Folders to take away after that, innermost first.
    """

    refused: str = ""
    clear: tuple[str, ...] = ()
    wipe: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    links: tuple[Entry, ...] = ()
    files: tuple[Entry, ...] = ()
    rights: tuple[Entry, ...] = ()
    gone: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def plan_of(now: Mapping[str, Entry], then: Mapping[str, Entry], *, wipe: bool) -> Plan:
    """From what is there to what is to be there. What is there and not to be is taken away.

    Args:
        now: What is there.
        then: What is to be there; with every thing, the folders that it is in.
        wipe: A folder may be taken away, with all that is in it, where something else is to be.
    """
    made = _Steps(wipe)
    for name, wanted in sorted(then.items()):
        its = None if name.rpartition("/")[0] in made.new else now.get(name)
        if its != wanted:
            made.add(its, wanted)
    extra = [each for name, each in sorted(now.items()) if name not in then and not _inside(name, made.wiped)]
    other = [each.name for each in extra if each.kind == "o"]
    if other or made.refused:
        return Plan(refused=made.refused or f"{other[0]} is neither file, folder nor link")
    return Plan(
        clear=tuple(made.clear),
        wipe=tuple(made.wiped),
        folders=tuple(made.new),
        links=tuple(made.links),
        files=tuple(made.files),
        rights=tuple(made.rights),
        gone=tuple(each.name for each in extra if each.kind != "d"),
        empty=tuple(each.name for each in reversed(extra) if each.kind == "d"),
    )


class _Steps:
    """Grows a plan, thing by thing."""

    def __init__(self, wipe: bool) -> None:
        self.wipe = wipe
        self.refused = ""
        self.new: dict[str, None] = {}  # in order
        self.clear: list[str] = []
        self.wiped: list[str] = []
        self.links: list[Entry] = []
        self.files: list[Entry] = []
        self.rights: list[Entry] = []

    def add(self, its: Entry | None, wanted: Entry) -> None:
        """What is there is another, or nothing."""
        if its is not None and its.kind == "o":
            self.refused = f"{its.name} is neither file, folder nor link"
        elif wanted.kind == "d":
            self._folder(its, wanted)
        else:
            if its is not None and its.kind == "d":
                self._no_folder(its)
            self._no_folder_but(its, wanted)

    def _folder(self, its: Entry | None, wanted: Entry) -> None:
        self.rights.append(wanted)
        if its is None or its.kind != "d":
            self.new[wanted.name] = None
        if its is not None and its.kind != "d":
            self.clear.append(its.name)

    def _no_folder(self, its: Entry) -> None:
        self.wiped.append(its.name)
        if not self.wipe:
            self.refused = f"{its.name} is a folder: delete=True replaces it"

    def _no_folder_but(self, its: Entry | None, wanted: Entry) -> None:
        if wanted.kind == "l":
            self.links.append(wanted)
        elif its is not None and its.kind == "f" and its.digest == wanted.digest:
            self.rights.append(wanted)
        else:
            self.files.append(wanted)


def _inside(name: str, folders: Iterable[str]) -> bool:
    return any(name.startswith(f"{each}/") for each in folders)
