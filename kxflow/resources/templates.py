"""Text from a Jinja2 template, rendered here: sandboxed, and strict about what is not defined."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kxflow.values.errors import InvalidError
from kxflow.values.secret import Secret

if TYPE_CHECKING:
    from jinja2 import Environment, TemplateError


def render(template: str | os.PathLike[str], variables: Mapping[str, Any] | None = None) -> str | Secret:
    r"""The text of a template, or a secret where it makes use of one.

    A path names a file; so does text, unless it holds a line break, `{{`, `{%` or `{#`: then it is the template itself.
    A file may include and extend others beside it. Lines that hold nothing but a `{% … %}` leave no trace.

    >>> render("port {{ port }}\n", {"port": 80})
    'port 80\n'

    Args:
        template: The file, or the template itself.
        variables: By name. Secrets may be among them, also in lists and mappings: where the template looks at such a
            variable, the whole text is a secret.

    Raises:
        InvalidError: No Jinja2, no such file, a mistake in it, a variable that is not given; the text names the line.
    """
    used: set[str] = set()
    environment = _environment(None if _is_text(template) else Path(template), used)
    known = {name: _revealed(value) for name, value in (variables or {}).items()}
    where = "template" if _is_text(template) else f"template {os.fspath(template)}"
    from jinja2 import TemplateError

    try:
        made = environment.from_string(str(template)) if _is_text(template) else _named(environment, template)
        text = made.render({name: value for name, (value, _) in known.items()})
    except TemplateError as error:
        raise InvalidError(f"{where}{_line(error)}: {_told(error)}", "mend the template, or give it in vars=") from None
    except OSError as error:
        raise InvalidError(f"{where}: {error.strerror}", "name a file that can be read") from None
    except UnicodeDecodeError:
        raise InvalidError(f"{where} is not UTF-8", "save it as that") from None
    except Exception as error:  # noqa: BLE001 -- an expression of the template: whatever it raises is its own mistake
        line = _line(error)
        raise InvalidError(f"{where}{line}: {type(error).__name__}: {error}", "mend the template") from None
    return Secret(text) if any(known[name][1] for name in used & known.keys()) else text


def _is_text(template: str | os.PathLike[str]) -> bool:
    return isinstance(template, str) and any(each in template for each in ("\n", "{{", "{%", "{#"))


def _environment(file: Path | None, used: set[str]) -> Environment:
    """An environment for one rendering; the names of variables that it looks at go into `used`."""
    try:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.runtime import Context
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise InvalidError("template= needs Jinja2", "pip install 'kxflow[templates]'") from None

    class Noting(Context):
        def resolve_or_missing(self, key: str) -> Any:
            used.add(key)
            return super().resolve_or_missing(key)

    class Environment(ImmutableSandboxedEnvironment):
        context_class = Noting

    return Environment(
        loader=None if file is None else FileSystemLoader(file.parent),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _named(environment: Environment, template: str | os.PathLike[str]) -> Any:
    file = Path(template)
    with file.open("rb"):  # else the loader only says that there is none
        return environment.get_template(file.name)


def _told(error: TemplateError) -> str:
    from jinja2 import TemplateNotFound

    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name!r} beside it"
    return f"{error.message or type(error).__name__}"


def _line(error: Exception) -> str:
    """The line of the template, where an error tells: the innermost that is no Python file."""
    own = getattr(error, "lineno", None)
    if own is not None:
        return f":{own}"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.endswith(".py")]
    return f":{frames[-1].lineno}" if frames else ""


def _revealed(value: Any) -> tuple[Any, bool]:
    """The same data with the texts of its secrets, and whether there was one."""
    if isinstance(value, Secret):
        return value.reveal(), True
    if isinstance(value, Mapping):
        pairs = {key: _revealed(each) for key, each in value.items()}
        return {key: each for key, (each, _) in pairs.items()}, any(secret for _, secret in pairs.values())
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        members = [_revealed(each) for each in value]
        return type(value)(each for each, _ in members), any(secret for _, secret in members)
    return value, False
