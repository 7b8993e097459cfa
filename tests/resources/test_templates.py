"""Templates of files, rendered here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kxflow as kx
from kxflow.resources import file
from kxflow.resources.templates import render
from tests.resources.helpers_files import cycle, one, ran, skipped, succeeded


def test_a_file_from_a_template_lives(tmp_path: Path) -> None:
    """Rendered here; the host sees a file like any other."""
    (tmp_path / "app.j2").write_text("{% for port in ports %}\nlisten {{ port }}\n{% endfor %}\n")
    path = tmp_path / "app.conf"
    step = file(path, template=tmp_path / "app.j2", vars={"ports": [80, 443]})
    cycle(step, lambda: path.read_text() if path.exists() else None, drift=lambda: path.write_text("drift"))
    succeeded(step)
    assert path.read_text() == "listen 80\nlisten 443\n"


def test_variables_of_a_host_go_into_its_file(tmp_path: Path) -> None:
    """`ctx.vars` as it is."""

    @kx.step
    def conf(ctx: kx.HostContext) -> kx.Step[Any]:
        return file(tmp_path / ctx.host.name, template="port {{ port }} {{ tags | join(',') }}\n", vars=ctx.vars)

    hosts = [kx.Host(name, vars={"port": port, "tags": ["a", "b"]}) for name, port in (("one", 1), ("two", 2))]
    assert ran(conf, cluster=kx.Cluster(hosts, connect=kx.Local())).succeeded
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["port 1 a,b\n", "port 2 a,b\n"]


def test_text_and_files_are_told_apart(tmp_path: Path) -> None:
    """Text holds a line break or a mark of Jinja; a path may hold anything."""
    odd = tmp_path / "{{ odd }}"
    odd.write_text("in a file: {{ x }}")
    assert render("{{ x }}", {"x": 1}) == "1"
    assert render("plain\ntext\n") == "plain\ntext\n"
    assert render(odd, {"x": 1}) == "in a file: 1"
    assert render(str(odd.rename(tmp_path / "plain.j2")), {"x": 1}) == "in a file: 1"


def test_a_file_may_include_and_extend_those_beside_it_and_no_others(tmp_path: Path) -> None:
    """Its folder is all that it can reach."""
    (tmp_path / "outside").write_text("secret of the controller")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "base").write_text("<{% block inner %}{% endblock %}>")
    (folder / "part").write_text("{{ x }}")
    (folder / "whole").write_text("{% extends 'base' %}{% block inner %}{% include 'part' %}{% endblock %}")
    assert render(folder / "whole", {"x": 5}) == "<5>"
    (folder / "bad").write_text("{% include '../outside' %}")
    with pytest.raises(kx.InvalidError, match="outside"):
        render(folder / "bad")
    with pytest.raises(kx.InvalidError, match="template"):
        render("{% include 'part' %}")


def test_a_secret_that_is_looked_at_makes_the_content_one(tmp_path: Path) -> None:
    """It is in no record; one that is not looked at changes nothing."""
    path = tmp_path / "a"
    given = {"db": {"password": kx.Secret("s3cret-word"), "names": ["x", kx.Secret("other-s3cret")]}, "port": 5432}
    step = file(path, template="{{ db.password }} {{ db.names[1] }} {{ port }}\n", vars=given)
    report = ran(step)
    assert report.succeeded
    assert path.read_text() == "s3cret-word other-s3cret 5432\n"
    assert "s3cret" not in repr(report.to_dicts())
    skipped(step)
    assert render("{{ port }}\n", given) == "5432\n"


def test_what_a_template_escapes_is_its_own_business() -> None:
    """No autoescape, last newline kept, `<` stays `<`."""
    assert render("{{ x }}\n\n", {"x": "<&'\">"}) == "<&'\">\n\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n{{ missing }}\n", [":2", "'missing' is undefined"]),
        ("a\n{{ x.missing }}\n", [":2", "missing"]),
        ("a\n\n{% if %}\n", [":3", "template"]),
        ("{{ 1 / 0 }}", [":1", "ZeroDivisionError"]),
        ("{{ ''.__class__.__mro__ }}", ["unsafe"]),
        ("{{ x.update({'y': 1}) }}", ["unsafe"]),
        ("{{ x | no_such_filter }}", ["no_such_filter"]),
    ],
)
def test_a_mistake_in_a_template_is_told_with_its_line(text: str, words: list[str]) -> None:
    """When the step is built, before a host is touched."""
    with pytest.raises(kx.InvalidError) as caught:
        file("/etc/app", template=text, vars={"x": {}})
    for word in ("file /etc/app: template", *words):
        assert word in str(caught.value)


def test_a_mistake_in_a_file_names_it(tmp_path: Path) -> None:
    """And its line; also one that cannot be read, or is no text."""
    path = tmp_path / "a.j2"
    path.write_text("\n\n{{ missing }}")
    with pytest.raises(kx.InvalidError, match=r"a\.j2:3: 'missing' is undefined"):
        render(path)
    path.write_bytes(b"\xff{{ x }}")
    with pytest.raises(kx.InvalidError, match=r"a\.j2 is not UTF-8"):
        render(path)
    with pytest.raises(kx.InvalidError, match=r"no\.j2: No such file"):
        render("no.j2")


def test_a_mistake_in_a_step_function_fails_its_host_only(tmp_path: Path) -> None:
    """The message is that of the template."""

    @kx.step
    def conf(ctx: kx.HostContext) -> kx.Step[Any]:
        return file(tmp_path / "a", template="{{ port }}\n", vars=ctx.vars)

    result = one(conf)
    assert result.reason == "raised"
    assert "'port' is undefined" in str(result.error)


def test_without_jinja_the_message_says_what_to_install() -> None:
    """And all else of the resources works."""
    code = """
import sys
sys.modules["jinja2"] = None
from kxflow.resources import file
file("/x", content="y")
try:
    file("/x", template="{{ a }}", vars={"a": 1})
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "file /x: template= needs Jinja2: pip install 'kxflow[templates]'\n"


def test_jinja_is_not_imported_needlessly() -> None:
    """Resources load when first asked for, and Jinja2 with the first template."""
    code = "import sys; from kxflow.resources import file; file('/x', content='y'); print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("make", [lambda: render("")], ids=["nothing"])
def test_what_is_no_template_is_refused(make: Callable[[], Any]) -> None:
    """Empty text names no file."""
    with pytest.raises(kx.InvalidError):
        make()
