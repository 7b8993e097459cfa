"""Connection settings of our TOML, laid over each other: defaults, then roles, then the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import evolve, frozen

from kxflow.values.errors import InvalidError
from kxflow.values.host import Become, Connect, Host, Local, Ssh, Via
from kxflow.values.inventory.located import Entry, Findings, Items, Node, Place, Scalar, Table, guess
from kxflow.values.inventory.outside import Outside
from kxflow.values.inventory.schema import (
    as_bool,
    as_port,
    as_seconds,
    as_secret,
    as_text,
    as_texts,
    members,
    readable,
    refused,
)

HOWS: Final = ("ssh", "local", "via")


@frozen(eq=False)
class Setting:
    """One connection setting, checked, and where it stands."""

    value: Any
    place: Place


Layer: TypeAlias = Mapping[str, Setting]


@frozen
class Hop:
    """One host on the way to another.

    Attributes:
        host: As written.
        named: It is only a name, which may be that of a host of this inventory.
        user, port: What was written beside the name.
        place: Where it stands.
    """

    host: Host
    named: bool
    place: Place
    user: str | None = None
    port: int | None = None


Read: TypeAlias = Callable[[Node, Outside], Any]


def _how(node: Node, _: Outside) -> str:
    text = as_text(node)
    if text not in HOWS:
        raise InvalidError(f"{text!r} is no way to reach a host", guess(text, HOWS))
    return text


def _key_files(node: Node, outside: Outside) -> tuple[str, ...]:
    return tuple(readable(text, outside) for text in as_texts(node))


def _known_hosts(node: Node, outside: Outside) -> tuple[str, ...]:
    """They need not exist: `accept_new` makes the first."""
    return tuple(text if text.startswith("~") else outside.path(text) for text in as_texts(node))


def _agent(node: Node, outside: Outside) -> bool | str:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return outside.path(node.value)
    return as_bool(node)


def _become(node: Node, outside: Outside) -> Become | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return Become() if node.value else None
    if not isinstance(node, Table):
        return Become(as_text(node))
    options: dict[str, Any] = {}
    for entry in node.entries:
        if entry.key not in ("user", "method", "password"):
            raise InvalidError(f"unknown key {entry.key!r}", guess(entry.key, ("user", "method", "password")))
        secret = entry.key == "password"
        options[entry.key] = as_secret(entry.node, outside) if secret else as_text(entry.node)
    return Become(**options)


def _prefix(node: Node, _: Outside) -> tuple[str, ...]:
    if not isinstance(node, Items):
        raise refused(node, "a list of texts", 'for example ["docker", "exec", "-i", "{name}"]')
    return Via(*as_texts(node)).prefix


def _jump(node: Node, outside: Outside) -> tuple[Hop, ...]:
    parts = node.nodes if isinstance(node, Items) else (node,)
    return tuple(hop for part in parts for hop in _hops(part, outside))


def _hops(node: Node, outside: Outside) -> Iterable[Hop]:
    if isinstance(node, Table):
        return [Hop(_hop_table(node, outside), named=False, place=node.place)]
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise refused(node, "text or a table", 'write "user@host:port" or {address = "…", user = "…"}')
    return [_hop_text(text.strip(), node.place) for text in node.value.split(",") if text.strip()]


def _hop_text(text: str, place: Place) -> Hop:
    (host,) = Ssh(jump=text).jump
    connect = host.connect
    if not isinstance(connect, Ssh):  # pragma: no cover -- what the converter gives
        raise InvalidError(f"jump {text!r} cannot be read", "write [user@]host[:port]")
    port = connect.port if text.endswith(f":{connect.port}") and text != host.name else None
    return Hop(host, named=True, place=place, user=connect.user, port=port)


def _hop_table(node: Table, outside: Outside) -> Host:
    findings = Findings("")
    found = members(node, ("name", "address", *_HOP_FIELDS), findings)
    if "address" not in found:
        findings.add(node.place, "a hop needs an address", 'write {address = "…", user = "…"}')
    options = {key: _checked(key, entry.node, outside) for key, entry in found.items() if key in _HOP_FIELDS}
    if findings:
        problem = findings.take()[0]
        raise InvalidError(problem.what, problem.remedy)
    address = as_text(found["address"].node)
    name = as_text(found["name"].node) if "name" in found else address
    return Host(name, address, connect=Ssh(**options))


_COMMON: Final[dict[str, Read]] = {"become": _become}
_SSH: Final[dict[str, Read]] = {
    "user": lambda node, _: as_text(node),
    "port": lambda node, _: as_port(node),
    "key_files": _key_files,
    "passphrase": as_secret,
    "password": as_secret,
    "known_hosts": _known_hosts,
    "accept_new": lambda node, _: as_bool(node),
    "agent": _agent,
    "config": lambda node, outside: readable(as_text(node), outside),
    "jump": _jump,
    "connect_timeout": lambda node, _: as_seconds(node),
    "login_timeout": lambda node, _: as_seconds(node),
    "keepalive": lambda node, _: as_seconds(node),
}
_VIA: Final[dict[str, Read]] = {"prefix": _prefix}
_HOP_FIELDS: Final = tuple(key for key in _SSH if key != "jump")
_ALL: Final[dict[str, Read]] = {"how": _how, **_SSH, **_COMMON, **_VIA}
_BELONG: Final[Mapping[str, frozenset[str]]] = {
    "ssh": frozenset({*_SSH, *_COMMON}),
    "local": frozenset(_COMMON),
    "via": frozenset({*_VIA, *_COMMON}),
}
_STAND_IN: Final[Mapping[str, Any]] = {"how": None, "prefix": ("?",)}
_HINTS: Final = {
    "key_file": "write key_files = […]",
    "key": "write key_files = […]",
    "identity_file": "write key_files = […]",
    "private_key": "write key_files = […]",
    "username": "write user = …",
    "timeout": "write connect_timeout = … or login_timeout = …",
    "address": "an address belongs to the host itself, beside its connect",
    "host": "an address belongs to the host itself, beside its connect",
    "sudo": "write become = …",
    "proxy": "write jump = …",
    "type": "write how = …",
    "method": "write how = …",
}


def _checked(key: str, node: Node, outside: Outside) -> Any:
    value = _ALL[key](node, outside)
    if key in _SSH and key != "jump":
        Ssh(**{key: value})  # the value's own rules: range of a port, characters of a user
    return value


def read_layer(node: Node, outside: Outside, findings: Findings) -> Layer:
    """One `connect` table, each setting checked by itself."""
    layer: dict[str, Setting] = {}
    for key, entry in members(node, _ALL, findings, _HINTS).items():
        setting = _setting(key, entry, outside, findings)
        if setting is not None:
            layer[key] = setting
    return layer


def _setting(key: str, entry: Entry, outside: Outside, findings: Findings) -> Setting | None:
    node = entry.node
    if key == "key_files" and isinstance(node, Items):
        return _each_key_file(node, outside, findings)
    try:
        return Setting(_checked(key, node, outside), entry.place)
    except InvalidError as error:
        findings.add(entry.place, f"{key}: {error.what}", error.remedy)
        # That it was chosen counts, or another problem would follow from this one.
        return Setting(_STAND_IN[key], entry.place) if key in _STAND_IN else None


def _each_key_file(node: Items, outside: Outside, findings: Findings) -> Setting:
    """Every key file that cannot be read is told, each at its own line."""
    paths: list[str] = []
    for each in node.nodes:
        try:
            paths.append(readable(as_text(each), outside))
        except InvalidError as error:
            findings.add(each.place, f"key_files: {error.what}", error.remedy)
    return Setting(tuple(paths), node.place)


def merged(layers: Sequence[Layer], findings: Findings) -> tuple[str, dict[str, Setting]]:
    """How a host is reached, and the settings that belong to that way; a later layer wins, field by field.

    A setting of another way is dropped where it lies below the layer that chose the way, and a problem elsewhere.
    """
    how: str | None = "ssh"
    chosen = -1
    for level, layer in enumerate(layers):
        if "how" in layer:
            how, chosen = layer["how"].value, level
    settings: dict[str, Setting] = {}
    for level, layer in enumerate(layers):
        for key, setting in layer.items():
            if key == "how":
                continue
            if how is None or key in _BELONG[how]:
                settings[key] = setting
            elif how is not None and level >= chosen:
                other = next(way for way in HOWS if key in _BELONG[way])
                remedy = f'write how = "{other}" beside it, or leave it out'
                findings.add(setting.place, f"{key} means nothing to a host reached by {how!r}", remedy)
    if how == "via" and "prefix" not in settings:
        place = layers[chosen]["how"].place
        findings.add(place, 'how = "via" needs a prefix', 'for example prefix = ["docker", "exec", "-i", "{name}"]')
    return how or "ssh", settings if how else {}


def build(how: str, settings: Mapping[str, Setting], *, name: str, address: str, jump: Sequence[Host]) -> Connect:
    """The value; in a prefix `{name}` and `{address}` become the host's.

    Raises:
        InvalidError: The settings do not fit together.
    """
    values = {key: setting.value for key, setting in settings.items()}
    if how == "local":
        return Local(**values)
    if how == "via":
        words = (word.replace("{name}", name).replace("{address}", address) for word in values.get("prefix", ("?",)))
        return Via(*words, become=values.get("become"))
    return Ssh(**{**values, "jump": tuple(jump)})


def has_placeholder(settings: Mapping[str, Setting]) -> bool:
    """A prefix that is another one for each host."""
    words = settings["prefix"].value if "prefix" in settings else ()
    return any("{name}" in word or "{address}" in word for word in words)


def over(hop: Hop, connect: Ssh) -> Ssh:
    """How a host of this inventory is reached as a hop: its own settings, under what the hop says.

    Nothing is run on a hop, so nobody is become there.
    """
    changes: dict[str, Any] = {"jump": (), "become": None}
    if hop.user is not None:
        changes["user"] = hop.user
    if hop.port is not None:
        changes["port"] = hop.port
    return evolve(connect, **changes)
