"""From what the callback plugin tells to our events and the outcome, with a clock that is moved by hand."""

from __future__ import annotations

from typing import Any

import pytest
from listening import Heard

from arriero.clock import ManualClock
from arriero.deploy.watch import Watch


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def watch(heard: Heard, clock: ManualClock) -> Watch:
    return Watch(["a", "b"], heard, clock)


def started(step: str, task: str, site: str = "a") -> dict[str, Any]:
    return {"host": site, "step": step, "task": task}


def test_a_step_begins_with_its_first_task_and_ends_with_the_next_step(
    watch: Watch, heard: Heard, clock: ManualClock
) -> None:
    watch.record("started", started("network", "Create the network"))
    clock.sleep(2)
    watch.record("ok", {**started("network", "Create the network"), "changed": True})
    watch.record("started", started("network", "Create the subnet"))
    clock.sleep(3)
    watch.record("started", started("cluster", "Create the cluster"))
    told = [(e.kind, e.fields["step"], e.fields["task"], e.fields["elapsed_seconds"]) for e in heard.events]
    assert told == [
        ("step.started", "network", "Create the network", 0),
        ("step.progress", "network", "Create the subnet", 2),
        ("step.finished", "network", "Create the subnet", 5),
        ("step.started", "cluster", "Create the cluster", 0),
    ]
    assert heard.events[2].fields["changed"] is True


def test_a_retry_tells_how_many_there_will_be(watch: Watch, heard: Heard) -> None:
    watch.record("started", started("wait", "Wait"))
    watch.record("retried", {**started("wait", "Wait"), "attempt": 2, "of": 40})
    assert (heard.events[-1].kind, heard.events[-1].fields["attempt"], heard.events[-1].fields["of"]) == (
        "step.progress",
        2,
        40,
    )


def test_the_tasks_of_a_roles_main_file_belong_to_no_step_of_their_own(watch: Watch, heard: Heard) -> None:
    watch.record("started", started("", "Check the arguments"))
    watch.record("started", started("network", "Create the network"))
    assert [event.kind for event in heard.events] == ["step.progress", "step.started"]


def test_one_failed_site_hides_nothing_of_the_other(watch: Watch, heard: Heard) -> None:
    for site in ("a", "b"):
        watch.record("started", started("network", "Create the network", site))
    watch.record("failed", {**started("network", "Create the network"), "messages": ["quota reached | ask for more"]})
    watch.record("ok", {**started("network", "Create the network", "b"), "changed": True})
    watch.record("ended", {"done": ["b"], "failed": ["a"]})
    outcome = watch.end("finished", 2)
    assert (outcome.ok, outcome.changed, outcome.ending, outcome.code) == ({"b"}, {"b"}, "finished", 2)
    assert str(outcome.failed["a"]) == "sites.a: quota reached; ask for more"
    assert heard.of("a") == ["step.started", "step.failed", "site.failed"]
    assert heard.of("b") == ["step.started", "step.finished", "site.finished"]


def test_a_site_is_finished_with_its_own_last_task_and_told_once(
    watch: Watch, heard: Heard, clock: ManualClock
) -> None:
    watch.record("started", started("network", "Create the network"))
    watch.record("ok", {**started("network", "Create the network"), "changed": True})
    clock.sleep(2)
    watch.record("done", started("site", "Finish the site"))
    clock.sleep(60)
    watch.record("ended", {"done": ["a", "b"], "failed": []})
    watch.end("finished", 0)
    assert heard.of("a") == ["step.started", "step.finished", "site.finished"]
    assert heard.events[2].fields["elapsed_seconds"] == 2


def test_a_task_that_is_passed_over_is_told_as_such(watch: Watch, heard: Heard) -> None:
    watch.record("started", started("wait", "Say why"))
    watch.record("skipped", started("wait", "Say why"))
    assert [event.kind for event in heard.events] == ["step.started", "step.skipped"]


def test_a_failure_that_the_play_caught_is_none(watch: Watch) -> None:
    watch.record("started", started("network", "Try"))
    watch.record("caught", {**started("network", "Try"), "messages": ["no"]})
    watch.record("ended", {"done": ["a", "b"], "failed": []})
    assert watch.end("finished", 0).failed == {}


def test_a_site_that_changed_nothing_is_done_and_not_changed(watch: Watch) -> None:
    watch.record("started", started("network", "Create the network"))
    watch.record("ok", {**started("network", "Create the network"), "changed": False})
    watch.record("ended", {"done": ["a", "b"], "failed": []})
    outcome = watch.end("finished", 0)
    assert (outcome.ok, outcome.changed) == ({"a", "b"}, frozenset())


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("interrupted", "interrupted at 'Wait'; run arriero up again: it goes on from what is there"),
        ("timed out", "not done in time at 'Wait'; run arriero up again, or allow more time"),
    ],
)
def test_a_run_that_was_ended_says_where_each_site_was(watch: Watch, ending: Any, text: str) -> None:
    watch.record("started", started("wait", "Wait"))
    outcome = watch.end(ending, 254)
    assert str(outcome.failed["a"]) == f"sites.a: {text}"
    assert outcome.ok == frozenset()
    assert outcome.ending == ending


def test_an_ansible_that_could_not_start_is_broken_and_says_why(watch: Watch) -> None:
    watch.complaint("[WARNING]: this does not matter")
    watch.complaint("[ERROR]: the playbook: x.yml could not be found")
    outcome = watch.end("finished", 1)
    assert outcome.ending == "broken"
    said = "Ansible could not run: the playbook: x.yml could not be found; mend that and run arriero up again"
    assert [str(problem) for problem in outcome.problems] == [f"sites.a: {said}", f"sites.b: {said}"]


def test_records_of_hosts_that_are_no_sites_are_passed_over(watch: Watch, heard: Heard) -> None:
    watch.record("started", started("network", "Elsewhere", "c"))
    assert heard.events == []
