"""What follows a change: at once, once, and also where an earlier run did not get so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import kxflow as kx
from kxflow.flow.step import Steps
from kxflow.resources import fetch, file, sync
from kxflow.values.action import Command
from tests.resources.conftest import Box
from tests.resources.helpers_services import results

CONF = "/srv/conf"
LOG = "/srv/log"


def note(word: str, **options: Any) -> kx.Step[Any]:
    """A step that writes a word into the log."""
    return kx.command(word, f"echo {word} >>{LOG}", **options)


def conf(content: str = "1") -> kx.Step[Any]:
    """A file to be changed."""
    return file(CONF, content=content)


def told(box: Box, *steps: kx.Step[Any] | Steps, **options: Any) -> list[str]:
    """Status and reason of each step."""
    return [f"{each.status.name} {each.reason}".strip() for each in results(box.cluster, *steps, **options)]


def log(box: Box) -> list[str]:
    """What was written into the log since the last time."""
    path = box.path(LOG)
    words = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return words


def marks(box: Box) -> list[str]:
    """Every mark on the host."""
    return box.sh("find /var/lib/kxflow /root /home -xdev -path '*kxflow/pending/*' 2>/dev/null; :").split()


def test_what_follows_runs_once_for_each_change_and_in_order(box: Box) -> None:
    """Once though two changed; not at all where none did; again after the next change."""
    other = file("/srv/other", content="x")
    steps = kx.on_change(conf(), other, then=[note("one"), note("two")])
    assert told(box, steps) == ["Succeeded"] * 4
    assert log(box) == ["one", "two"]
    assert told(box, steps) == ["Skipped check", "Skipped check", "Skipped unchanged", "Skipped unchanged"]
    assert told(box, kx.on_change(conf("2"), other, then=[note("one"), note("two")]))[1:3] == [
        "Skipped check",
        "Succeeded",
    ]
    assert log(box) == ["one", "two"]
    assert marks(box) == []


def test_it_adds_no_round_trip(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps and what follows are one program."""
    from kxflow.interpreters.converse import Conversation

    programs: list[int] = []
    hold = Conversation.hold

    async def counted(self: Conversation) -> Any:
        programs.append(len(self._program.ops))
        return await hold(self)

    monkeypatch.setattr(Conversation, "hold", counted)
    for _ in range(2):
        told(box, note("before"), kx.on_change(conf(), then=note("after")), note("behind"))
    assert programs == [4, 4]


def test_a_run_that_dies_between_is_taken_up_by_the_next(box: Box) -> None:
    """The program is killed when the file is in place: the next run skips the file, and what follows runs."""
    die = kx.command("die", "kill -s KILL $PPID; sleep 5")
    first = results(box.cluster, kx.on_change(conf(), die, then=note("after")))
    assert [each.status.name for each in first] == ["Succeeded", "Lost", "Lost"]
    assert log(box) == []
    assert len(marks(box)) == 1
    die_no_more = kx.command("die", "exit 1", check="true")
    assert told(box, kx.on_change(conf(), die_no_more, then=note("after"))) == ["Skipped check"] * 2 + ["Succeeded"]
    assert log(box) == ["after"]
    assert told(box, kx.on_change(conf(), die_no_more, then=note("after")))[-1] == "Skipped unchanged"


def test_what_follows_and_fails_is_tried_again_by_the_next_run(box: Box) -> None:
    """All of it, from the first; also something else than before."""
    assert told(box, kx.on_change(conf(), then=[note("one"), kx.command("two", "exit 3")])) == [
        "Succeeded",
        "Succeeded",
        "Failed exit",
    ]
    assert told(box, kx.on_change(conf(), then=[note("one"), note("other")])) == ["Skipped check"] + ["Succeeded"] * 2
    assert log(box) == ["one", "one", "other"]
    assert marks(box) == []


def test_a_step_that_fails_in_the_middle_has_changed_something(box: Box) -> None:
    """It may have: what follows runs when the next run has brought the state about, or it did so itself."""
    half = kx.command("half", f"echo half >>{LOG}; exit 1", check=f"grep -qs half {LOG}; [ $? = 0 ]")
    assert told(box, kx.on_change(half, then=note("after"))) == ["Failed exit", "NotRun blocked: p/m/t/half"]
    assert told(box, kx.on_change(half, then=note("after"))) == ["Skipped check", "Succeeded"]
    box.path(LOG).unlink()
    tolerated = kx.on_change(half.ignore_errors(), then=note("after"))
    assert told(box, tolerated) == ["Failed exit", "Succeeded"]
    assert log(box) == ["half", "after"]


def test_what_only_reads_changes_nothing(box: Box) -> None:
    """A step that says so sets no mark."""
    assert told(box, kx.on_change(kx.command("look", "true", readonly=True), then=note("after"))) == [
        "Succeeded",
        "Skipped unchanged",
    ]


def test_resources_may_follow_and_count_as_ended_where_they_are_as_wanted(box: Box) -> None:
    """What follows and has nothing to do is Skipped; the mark is gone all the same."""
    box.path("/srv/there").write_text("x")
    there = file("/srv/there", content="x")
    assert told(box, kx.on_change(conf(), then=there)) == ["Succeeded", "Skipped check"]
    assert told(box, kx.on_change(conf(), then=there)) == ["Skipped check", "Skipped unchanged"]


@pytest.mark.parametrize("what", ["sync", "fetch"])
def test_what_is_decided_here_takes_part(box: Box, tmp_path: Path, what: str) -> None:
    """A tree that is synced, a file that is fetched: what they do is known only when the host was asked."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "one").write_text("1")
    box.sh("echo 1 >/srv/file")

    def step() -> kx.Step[Any]:
        return sync("/srv/tree", tmp_path / "tree") if what == "sync" else fetch("/srv/file", tmp_path / "fetched")

    assert told(box, kx.on_change(step(), then=note("after"))) == ["Succeeded"] * 2
    assert told(box, kx.on_change(step(), then=note("after"))) == ["Skipped check", "Skipped unchanged"]
    box.sh("echo 2 >/srv/file; rm /srv/tree/one", ok=False)
    assert told(box, kx.on_change(step(), then=kx.command("fails", "exit 3"))) == ["Succeeded", "Failed exit"]
    assert told(box, kx.on_change(step(), then=note("after"))) == ["Skipped check", "Succeeded"]
    assert log(box) == ["after", "after"]
    assert marks(box) == []


def test_what_is_decided_here_may_follow(box: Box, tmp_path: Path) -> None:
    """It is not asked for where nothing changed, and the mark is gone when it has done its work."""
    (tmp_path / "one").write_text("1")
    tree = sync("/srv/tree", tmp_path)
    assert told(box, kx.on_change(conf(), then=tree)) == ["Succeeded"] * 2
    assert marks(box) == []
    box.sh("rm /srv/tree/one")
    assert told(box, kx.on_change(conf(), then=tree)) == ["Skipped check", "Skipped unchanged"]
    assert told(box, kx.on_change(conf("2"), then=tree)) == ["Succeeded"] * 2
    assert marks(box) == []


def test_steps_made_by_functions_take_part(box: Box) -> None:
    """One that returns a resource changes, one that returns a command follows; several commands are one step."""

    @kx.step
    def render(ctx: kx.HostContext) -> kx.Step[Any]:
        return file(CONF, content=f"for {ctx.host.name}")

    @kx.step
    def restart(ctx: kx.HostContext) -> kx.Action[Any]:
        return kx.both(kx.shell(f"echo {ctx.host.name} >>{LOG}"), kx.shell(f"echo again >>{LOG}"))

    steps = kx.on_change(render, then=restart)
    assert told(box, steps) == ["Succeeded"] * 3
    assert told(box, steps) == ["Skipped check", "Skipped unchanged", "Skipped unchanged"]
    assert log(box) == ["box", "again"]
    assert marks(box) == []


def test_several_commands_as_one_step_clear_the_mark_with_the_last(box: Box) -> None:
    """A failure of the second leaves it."""

    def pair(second: str) -> kx.Step[Any]:
        action = kx.both(kx.shell(f"echo one >>{LOG}"), kx.shell(second))
        return kx.Step(name="pair", build=action)

    assert told(box, kx.on_change(conf(), then=pair("false")))[-1] == "Failed exit"
    assert told(box, kx.on_change(conf(), then=pair("true"))) == ["Skipped check", "Succeeded"]
    assert told(box, kx.on_change(conf(), then=pair("true"))) == ["Skipped check", "Skipped unchanged"]
    assert log(box) == ["one", "one"]


def test_a_rescued_step_has_changed_something_and_so_has_what_rescued_it(box: Box) -> None:
    """On both sides of it."""
    broken = kx.command("broken", "exit 1", check=f"test -e {CONF}").rescue(kx.command("mend", f"touch {CONF}"))
    saved = kx.command("saved", "exit 1").rescue(note("instead"))
    steps = kx.on_change(broken, then=[note("one"), saved])
    assert told(box, steps) == ["Failed exit", "Succeeded", "Succeeded", "Failed exit", "Succeeded", "Succeeded"]
    assert log(box) == ["one", "instead"]
    assert told(box, steps) == [
        "Skipped check",
        "Skipped rescue",
        "Skipped unchanged",
        "Skipped unchanged",
        "Skipped rescue",
        "Skipped unchanged",
    ]


def test_a_failure_that_is_ignored_counts_as_ended(box: Box) -> None:
    """What follows is not tried for ever."""
    steps = kx.on_change(conf(), then=kx.command("odd", "exit 1").ignore_errors())
    assert told(box, steps) == ["Succeeded", "Failed exit", "Succeeded"]
    assert told(box, steps) == ["Skipped check", "Skipped unchanged", "Skipped unchanged"]


def test_a_condition_on_what_follows_leaves_no_mark(box: Box) -> None:
    """Where it does not hold, the change is done with."""
    steps = kx.on_change(conf(), then=note("after").when(lambda ctx: ctx.host.name == "other"))
    assert told(box, steps) == ["Succeeded", "Skipped when", "Succeeded"]
    assert told(box, steps) == ["Skipped check", "Skipped when", "Skipped unchanged"]
    assert marks(box) == []


def test_one_inside_another_sets_and_awaits_both_marks(box: Box) -> None:
    """What follows inside is a change outside; on both sides of `then`."""
    inner = kx.on_change(conf(), then=note("reload"))
    assert told(box, kx.on_change(inner, then=note("outer"))) == ["Succeeded"] * 3
    assert told(box, kx.on_change(inner, then=note("outer"))) == ["Skipped check"] + ["Skipped unchanged"] * 2
    assert log(box) == ["reload", "outer"]
    nested = kx.on_change(conf("2"), then=kx.on_change(file("/srv/x", content="x"), then=note("deep")))
    assert told(box, nested) == ["Succeeded"] * 4
    nested = kx.on_change(conf("3"), then=kx.on_change(file("/srv/x", content="x"), then=note("deep")))
    assert told(box, nested) == ["Succeeded", "Skipped check", "Skipped unchanged", "Succeeded"]
    assert told(box, nested)[1:] == ["Skipped unchanged"] * 3
    assert log(box) == ["deep"]


def test_the_mark_is_known_by_names_and_things(box: Box) -> None:
    """Two pipelines whose steps have the same names but ensure other things do not take each other's mark."""
    fail = kx.command("restart", "exit 1")
    told(box, kx.on_change(file("/srv/a", content="x").named("config"), then=fail))
    told(box, kx.on_change(file("/srv/b", content="x").named("config"), then=fail))
    assert len(marks(box)) == 2
    again = kx.on_change(file("/srv/a", content="x").named("config"), then=note("restart"))
    assert told(box, again) == ["Skipped check", "Succeeded"]
    assert len(marks(box)) == 1


@pytest.fixture
def users(box: Box) -> Box:
    """A box with the accounts `one` and `two`, whose homes are their own; a log that all can write."""
    box.sh(
        f"for x in one two; do useradd -m $x; chmod 700 ~$x 2>/dev/null || chmod 700 /home/$x; done; "
        f": >{LOG}; chmod 666 {LOG}; mkdir -m 777 /srv/all"
    )
    return box


def mine(user: str, content: str = "1") -> kx.Step[Any]:
    """A file of a user."""
    return file(f"/srv/all/{user}", content=content).named(f"file of {user}").become(user)


def words(box: Box) -> list[str]:
    """What was written into the log, by all."""
    text = box.path(LOG).read_text().split()
    box.path(LOG).write_text("")
    return text


def test_who_is_not_root_keeps_marks_at_home(users: Box) -> None:
    """Below `.local/state`, or where XDG_STATE_HOME says."""
    fails = kx.command("restart", "exit 1").become("one")
    told(users, kx.on_change(mine("one"), then=fails))
    (mark,) = marks(users)
    assert mark.startswith("/home/one/.local/state/kxflow/pending/")
    assert told(users, kx.on_change(mine("one"), then=note("restart").become("one"))) == ["Skipped check", "Succeeded"]
    assert marks(users) == []
    env = ("env", "HOME=/home/one", "XDG_STATE_HOME=/home/one/state")
    way = kx.Via(*users.way, "setpriv", "--reuid=one", "--regid=one", "--init-groups", *env)
    one = evolve(users, cluster=kx.Cluster([kx.Host("box")], connect=way))
    told(one, kx.on_change(file("/srv/all/x", content="1"), then=kx.command("restart", "exit 1")))
    (mark,) = marks(users)
    assert mark.startswith("/home/one/state/kxflow/pending/")
    assert told(one, kx.on_change(file("/srv/all/x", content="1"), then=note("restart")))[1] == "Succeeded"
    assert marks(users) == []


@pytest.mark.parametrize(("changer", "follower"), [("root", "one"), ("one", "root"), ("one", None), (None, "one")])
def test_two_users_one_of_them_root_see_each_others_marks(
    users: Box, changer: str | None, follower: str | None
) -> None:
    """At once, after a run that failed between, and not where nothing changed; None is the login, root here."""

    def of(step: kx.Step[Any], user: str | None) -> kx.Step[Any]:
        return step if user is None else step.become(user)

    def both(content: str, then: kx.Step[Any]) -> Steps:
        changing = of(file("/srv/all/x", content=content, mode=0o666), changer)
        return kx.on_change(changing, then=of(then, follower))

    box = users
    assert set(told(box, both("1", note("after")))) == {"Succeeded"}
    assert told(box, both("1", note("after")))[:2] == ["Skipped check", "Skipped unchanged"]
    assert told(box, both("2", kx.command("after", "exit 1")))[:2] == ["Succeeded", "Failed exit"]
    assert told(box, both("2", note("after")))[:2] == ["Skipped check", "Succeeded"]
    assert told(box, both("2", note("after")))[:2] == ["Skipped check", "Skipped unchanged"]
    assert words(box) == ["after", "after"]
    assert marks(box) == []


def test_two_users_of_whom_none_is_root_fail_and_are_told_why(users: Box) -> None:
    """A change is not passed over in silence."""
    result = results(users.cluster, kx.on_change(mine("one"), then=note("after").become("two")))[1]
    assert (result.status, result.reason) == (kx.Status.Failed, "mark")
    assert result.error is not None
    assert "marks of one cannot be seen" in result.error.what


def test_several_users_leave_no_mark_behind(users: Box) -> None:
    """Each takes its own away."""
    steps = kx.on_change(mine("one"), mine("root"), then=note("after").become("root"))
    assert told(users, steps) == ["Succeeded"] * 3
    assert marks(users) == []
    steps = kx.on_change(mine("one", "2"), mine("root", "2"), then=note("after").become("one"))
    assert told(users, steps) == ["Succeeded"] * 5
    assert marks(users) == []
    assert told(users, steps) == ["Skipped check"] * 2 + ["Skipped unchanged"] * 3


def test_a_mark_that_cannot_be_set_keeps_the_step_from_changing_anything(box: Box) -> None:
    """Else the change would be forgotten where the run dies."""
    box.sh("mkdir -p /var/lib/kxflow; mount -t tmpfs -o ro tmpfs /var/lib/kxflow")
    result = results(box.cluster, kx.on_change(conf(), then=note("after")))[0]
    assert (result.status, result.reason) == (kx.Status.Failed, "mark")
    assert result.error is not None
    assert "Read-only file system" in result.error.what
    assert not box.path(CONF).exists()


def test_a_plan_foresees_what_follows(box: Box) -> None:
    """Where a step would change something, where an earlier run did, and where neither is so; it sets no mark."""

    def effects(content: str, then: kx.Step[Any]) -> list[tuple[str, str]]:
        pipeline = kx.pipeline("p", kx.module("m", kx.task("t", kx.on_change(conf(content), then=then))))
        return [(each.effect.value, each.reason) for each in kx.plan(pipeline, box.cluster)]

    there = file("/srv/x", content="x")
    assert effects("1", note("after")) == [("would change", ""), ("would change", "an earlier step changes something")]
    assert effects("1", there) == [("would change", ""), ("unknown", "it depends on what earlier steps change")]
    assert marks(box) == []
    told(box, kx.on_change(conf(), then=kx.command("after", "exit 1")))
    assert effects("1", note("after")) == [("no change", "check"), ("would change", "an earlier run changed something")]
    assert effects("1", there) == [("no change", "check"), ("would change", "")]
    assert len(marks(box)) == 1
    told(box, kx.on_change(conf(), then=note("after")))
    assert effects("1", note("after")) == [("no change", "check"), ("no change", "unchanged")]


def test_hosts_that_answer_themselves_keep_marks_too() -> None:
    """For the time of a run, as real ones do for all time."""

    def answer(host: kx.Host, command: Command[Any]) -> kx.Reply:
        return kx.Reply(exit_code=str(command) == "fails", held=str(command) == "held")

    cluster = kx.Cluster([kx.Host("a")])
    connector = kx.MemoryConnector(answer)

    def statuses(text: str, again: str) -> list[str]:
        tasks = [
            kx.task(each, kx.on_change(kx.command("x", text).ignore_errors(), then=kx.command("after", "after")))
            for each, text in (("one", text), ("two", again))
        ]
        pipeline = kx.pipeline("p", kx.module("m", *tasks), policy=kx.keep_going())
        return [each.status.name for each in kx.report_of(kx.run(pipeline, cluster, connector=connector))]

    assert statuses("held", "held") == ["Skipped"] * 4
    assert statuses("ok", "held") == ["Succeeded", "Succeeded", "Skipped", "Skipped"]
    assert statuses("held", "fails") == ["Skipped", "Skipped", "Failed", "Succeeded"]


def test_what_the_host_does_not_do_itself_is_refused() -> None:
    """It cannot depend on a mark there."""
    here = kx.Step[Any](name="here", build=kx.on_controller(lambda: 1))
    cases: list[Callable[[], Steps]] = [
        lambda: kx.on_change(note("a"), then=here),
        lambda: kx.on_change(here, then=note("a")),
        lambda: kx.on_change(note("a"), then=note("b").on(kx.host("x"))),
        lambda: kx.on_change(then=note("a")),
        lambda: kx.on_change(note("a"), then=[]),
    ]
    for wrong in cases:
        with pytest.raises(kx.InvalidError, match=r"on_change"):
            wrong()


def test_a_function_that_returns_such_a_thing_fails_when_it_runs() -> None:
    """It says what to give instead, on both sides."""

    @kx.step
    def odd(_: kx.HostContext) -> kx.Action[Any]:
        return kx.on_controller(lambda: 1)

    cluster = kx.Cluster([kx.Host("a")])
    for steps in (kx.on_change(odd, then=note("a")), kx.on_change(note("a"), then=odd)):
        faults = [each.error for each in results(cluster, steps, connector=kx.MemoryConnector())]
        assert "give commands and resources" in " ".join(str(each) for each in faults if each is not None)
