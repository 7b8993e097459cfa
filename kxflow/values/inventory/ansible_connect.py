"""How a host is reached, from its `ansible_*` variables.

Connection variables are taken over, and no longer variables then. Those that would change how a host is reached
and have no counterpart here are problems, and so are those that nobody knows; all others stay variables.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from attrs import define

from kxflow.values.errors import InvalidError
from kxflow.values.host import Become, Connect, Host, Local, Method, Ssh, Via
from kxflow.values.inventory import ssh_args
from kxflow.values.inventory.ansible_known import is_known
from kxflow.values.inventory.ansible_model import Var
from kxflow.values.inventory.located import Findings, guess
from kxflow.values.inventory.outside import Outside
from kxflow.values.inventory.schema import check_address, filled, readable, secret_of_env
from kxflow.values.secret import Secret

ADDRESS: Final = ("ansible_host", "ansible_ssh_host")
_PORT: Final = ("ansible_port", "ansible_ssh_port")
_USER: Final = ("ansible_user", "ansible_ssh_user")
_KEY: Final = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_PASSPHRASE: Final = ("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase")
_PASSWORD: Final = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_TIMEOUT: Final = ("ansible_timeout", "ansible_ssh_timeout")
_ARGS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_KIND: Final = ("ansible_connection",)
_BECOME: Final = ("ansible_become",)
_METHOD: Final = ("ansible_become_method",)
_BECOME_USER: Final = ("ansible_become_user",)
_BECOME_PASSWORD: Final = ("ansible_become_password", "ansible_become_pass")
_KUBE: Final = ("pod", "namespace", "container")
_KUBE_VARS: Final = tuple(f"ansible_{tool}_{part}" for tool in ("kubectl", "oc") for part in _KUBE)

SETTINGS: Final = frozenset(
    (
        *ADDRESS, *_PORT, *_USER, *_KEY, *_PASSPHRASE, *_PASSWORD, *_TIMEOUT, *_ARGS, *_KIND, *_BECOME, *_METHOD,
        *_BECOME_USER, *_BECOME_PASSWORD, *_KUBE_VARS,
    )
)  # fmt: skip
"""Variables that are connection settings here. Of one line the later name wins, as in Ansible."""

KEPT: Final = frozenset({*_METHOD, *_BECOME_USER})
KEPT_SECRETS: Final = frozenset(_BECOME_PASSWORD)
"""Settings of become that stay variables too: without `ansible_become` they wait for a step that asks for them."""

_TOML: Final = "leave it out, or say what it is for in our TOML format"
UNSUPPORTED: Final[Mapping[str, str]] = {
    "ansible_ssh_executable": "kxflow speaks SSH itself",
    "ansible_ssh_private_key": "put the key into a file and name that: ansible_ssh_private_key_file",
    "ansible_become_exe": "the method's own program is used",
    "ansible_become_flags": "the method's own flags are used",
    "ansible_sudo_exe": "the method's own program is used",
    "ansible_sudo_flags": "the method's own flags are used",
    "ansible_su_exe": "the method's own program is used",
    "ansible_su_flags": "the method's own flags are used",
    "ansible_sudo_user": "write ansible_become_user",
    "ansible_sudo_pass": "write ansible_become_password",
    "ansible_su_user": "write ansible_become_user",
    "ansible_su_pass": "write ansible_become_password",
    "ansible_paramiko_proxy_command": "write ansible_ssh_common_args: -J user@host",
    "ansible_docker_extra_args": _TOML,
    "ansible_podman_extra_args": _TOML,
    "ansible_kubectl_extra_args": _TOML,
    "ansible_kubectl_kubeconfig": _TOML,
    "ansible_kubectl_context": _TOML,
    "ansible_kubectl_server": _TOML,
    "ansible_kubectl_token": _TOML,
    "ansible_jump_host": "write ansible_ssh_common_args: -J user@host",
}
"""Variables that would change how a host is reached, and what to do instead."""

_PREFIX: Final = "ansible_"
_SHORT: Final = sorted(name.removeprefix(_PREFIX) for name in (*SETTINGS, *UNSUPPORTED))

_OFF: Final = ("ansible_host_key_checking", "ansible_ssh_host_key_checking", "ansible_paramiko_host_key_checking")
_SSH: Final = ("ssh", "smart", "paramiko", "paramiko_ssh", "libssh")
_PREFIXES: Final = (
    "ansible.builtin.", "ansible.netcommon.", "community.docker.", "containers.podman.", "community.general.",
    "kubernetes.core.", "community.okd.", "ansible.legacy.",
)  # fmt: skip
_TEXT: Final = 64 * 1024
_TRUE: Final = ("yes", "true", "on", "1", "y", "t")
_FALSE: Final = ("no", "false", "off", "0", "n", "f", "")
_LOOKUP: Final = re.compile(
    r"""\{\{\s*(?:lookup|query|q)\(\s*(["'])(?:ansible\.builtin\.)?env\1\s*,\s*(["'])(\w+)\2\s*\)\s*\}\}\Z"""
)


def check_unsupported(variables: Mapping[str, Var], findings: Findings) -> None:
    """Report variables that would change how a host is reached and cannot here, and those that Ansible does not know.

    One of them is a slip in most cases, and then the host would be reached in another way than was written.
    """
    for name, var in variables.items():
        if name in UNSUPPORTED:
            findings.add(var.place, f"{name} is not taken over", UNSUPPORTED[name])
        elif name in _OFF and _is_false(var):
            remedy = "leave it out; -o StrictHostKeyChecking=accept-new takes the keys of new hosts"
            findings.add(var.place, f"{name}: host keys are always checked", remedy)
        elif name == "ansible_shell_type" and var.text in ("powershell", "cmd"):
            findings.add(var.place, f"{name}: {var.text} hosts cannot be reached", "kxflow needs a POSIX sh there")
        elif name.startswith(_PREFIX) and not (name in SETTINGS or name in _OFF or is_known(name)):
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), _SHORT, n=1)
            meant = f"did you mean {_PREFIX}{near[0]}? " if near else ""
            findings.add(var.place, f"{name} is no variable of Ansible's", f"{meant}Names of your own begin otherwise")


def _is_false(var: Var) -> bool:
    return var.value is False or var.text.strip().lower() in _FALSE


@define(eq=False)
class Reach:
    """One host's connection variables, while they are read; problems go to the line of the variable."""

    settings: Mapping[str, Var]
    outside: Outside
    findings: Findings

    def address(self) -> str | None:
        """Where `ansible_host` says that it is."""
        if (var := self._var(ADDRESS)) is None:
            return None
        try:
            check_address(address := self._text(var))
            Host("any", address)
        except InvalidError as error:
            self._problem(var, error)
            return None
        return address

    def connect(self, target: str) -> Connect:
        """How it is reached; `target` is what a container tool calls it."""
        kind = self._kind()
        if kind in _SSH:
            return self._ssh()
        if kind == "local":
            return Local(become=self._become())
        if kind in _CONTAINERS:
            return self._via(kind, target)
        var = self._var(_KIND)
        if var is not None:
            known = ("ssh", "local", *_CONTAINERS)
            self.findings.add(var.place, f"ansible_connection {kind!r} is not taken over", guess(kind, known))
        return Ssh()

    def names_target(self) -> bool:
        """Whether the way depends on the host's name: it is a container's."""
        return self._kind() in _CONTAINERS

    def _kind(self) -> str:
        kind = self._text_of(_KIND) or "ssh"
        for prefix in _PREFIXES:
            kind = kind.removeprefix(prefix)
        return kind

    def _ssh(self) -> Ssh:
        fields = self._args()
        for key, names, read in self._fields():
            if (var := self._var(names)) is not None and (value := self._try(var, names, read)) is not None:
                fields[key] = (value, *fields.get(key, ())) if key == "key_files" else value
        try:
            return Ssh(**fields, become=self._become())
        except InvalidError as error:  # pragma: no cover -- each was checked by itself
            self.findings.invalid(next(iter(self.settings.values())).place, error)
            return Ssh()

    def _fields(self) -> Iterable[tuple[str, tuple[str, ...], Callable[[Var], Any]]]:
        yield "user", _USER, lambda var: Ssh(user=self._text(var)).user
        yield "port", _PORT, lambda var: Ssh(port=self._number(var)).port
        yield "key_files", _KEY, lambda var: readable(self._text(var), self.outside)
        yield "passphrase", _PASSPHRASE, self._secret
        yield "password", _PASSWORD, self._secret
        yield "connect_timeout", _TIMEOUT, lambda var: Ssh(connect_timeout=self._number(var)).connect_timeout

    def _args(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name in _ARGS:
            var = self.settings.get(name)
            if var is None:
                continue
            try:
                taken = ssh_args.parse(shlex.split(self._text(var)), self.outside)
            except InvalidError as error:
                self._problem(var, error, name)
                continue
            except ValueError:
                self._problem(var, InvalidError("a quote is not closed", "close it"), name)
                continue
            for each in taken.refused:
                self._problem(var, each, name)
            for word in taken.rest:
                self._problem(var, InvalidError(f"{word!r} is no option", "only options belong here"), name)
            fields = {**taken.fields, **fields}
        return fields

    def _via(self, kind: str, target: str) -> Connect:
        words = _CONTAINERS[kind]
        user = self._text_of(_USER)
        prefix: list[str] = []
        for word in words:
            if word == "{user}":
                prefix += ["-u", user] if user else []
            elif word == "{pod}":
                prefix += self._pod("kubectl" if kind == "kubectl" else "oc", target)
            else:
                prefix.append(target if word == "{name}" else word)
        return Via(*prefix, become=self._become())

    def _pod(self, tool: str, target: str) -> list[str]:
        pod, namespace, container = (self._text_of((f"ansible_{tool}_{part}",)) for part in _KUBE)
        spaces = ["-n", namespace] if namespace else []
        return [*spaces, pod or target, *(["-c", container] if container else [])]

    def _become(self) -> Become | None:
        """What `ansible_become` asks for; without it the other settings of become are none of the connection's."""
        wanted = self._var(_BECOME)
        if wanted is None or not self._truth(wanted):
            return None
        method = (self._text_of(_METHOD) or "sudo").rpartition(".")[2]
        password_var = self._var(_BECOME_PASSWORD)
        password = None if password_var is None else self._try(password_var, _BECOME_PASSWORD, self._secret)
        user_var = self._var(_BECOME_USER)
        place = self._var(_METHOD) or user_var or wanted
        try:
            return Become(
                self._text(user_var) if user_var else "root", method=cast("Method", method), password=password
            )
        except InvalidError as error:
            self._problem(user_var if user_var is not None and "login name" in error.what else place, error)
            return None

    def _truth(self, var: Var) -> bool:
        if isinstance(var.value, bool):
            return var.value
        text = var.text.strip().lower()
        if text not in (*_TRUE, *_FALSE):
            self._problem(var, InvalidError("ansible_become must be true or false", "write yes or no"))
        return text in _TRUE

    def _var(self, names: tuple[str, ...]) -> Var | None:
        return next((self.settings[name] for name in reversed(names) if name in self.settings), None)

    def _text_of(self, names: tuple[str, ...]) -> str | None:
        var = self._var(names)
        return None if var is None else self._try(var, names, self._text)

    def _try(self, var: Var, names: tuple[str, ...], read: Callable[[Var], Any]) -> Any:
        try:
            return read(var)
        except InvalidError as error:
            self._problem(var, error, next(name for name in reversed(names) if name in self.settings))
            return None

    def _text(self, var: Var) -> str:
        """A text; Ansible would render a template in it, which nothing does here.

        Raises:
            InvalidError: It is a template, or no text.
        """
        if isinstance(var.value, list | dict | bool) or var.value is None:
            raise InvalidError("this must be text", "write one value")
        if "{{" in var.text or "{%" in var.text:
            raise InvalidError("this is a template, and kxflow renders none", "write the value itself")
        if len(var.text) > _TEXT:
            raise InvalidError(f"this text is longer than {_TEXT} characters", "shorten it")
        return var.text

    def _number(self, var: Var) -> int:
        text = self._text(var).strip()
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            raise InvalidError(f"{text!r} is no whole number", "write digits")
        return int(text)

    def _secret(self, var: Var) -> Secret:
        return secret_of(var, self.outside)

    def _problem(self, var: Var, error: InvalidError, name: str = "") -> None:
        self.findings.add(var.place, f"{name}: {error.what}" if name else error.what, error.remedy)


def secret_of(var: Var, outside: Outside) -> Secret:
    """A password as it was written, or from the environment by `{{ lookup('env', 'NAME') }}`.

    Raises:
        InvalidError: It is another template, empty, no text, or the variable is not set.
    """
    if found := _LOOKUP.match(var.text.strip()):
        return secret_of_env(found[3], outside)
    if isinstance(var.value, list | dict | bool) or var.value is None:
        raise InvalidError("a secret must be text", "put it in quotes")
    if var.text.strip().startswith("{{"):
        remedy = "the one template that is understood is {{ lookup('env', 'NAME') }}"
        raise InvalidError("this is a template, and kxflow renders none", remedy)
    return filled(Secret(var.text))


def kept_secret(name: str, var: Var, outside: Outside, findings: Findings) -> Secret | None:
    """A password that stays a variable; None, and a finding, where it cannot be one."""
    try:
        return secret_of(var, outside)
    except InvalidError as error:
        findings.add(var.place, f"{name}: {error.what}", error.remedy)
        return None


_CONTAINERS: Final[Mapping[str, tuple[str, ...]]] = {
    "docker": ("docker", "exec", "-i", "{user}", "{name}"),
    "docker_api": ("docker", "exec", "-i", "{user}", "{name}"),
    "podman": ("podman", "exec", "-i", "{user}", "{name}"),
    "buildah": ("buildah", "run", "{name}", "--"),
    "kubectl": ("kubectl", "exec", "-i", "{pod}", "--"),
    "oc": ("oc", "exec", "-i", "{pod}", "--"),
    "lxc": ("lxc-attach", "--name", "{name}", "--"),
    "lxd": ("lxc", "exec", "{name}", "--"),
    "incus": ("incus", "exec", "{name}", "--"),
    "chroot": ("chroot", "{name}"),
    "jail": ("jexec", "{name}"),
}
"""By connection: the argv that runs a program there."""
