from __future__ import annotations

import itertools

import pytest

from arriero.rehearse.engine.scheduler import FOREVER, Action, Full, Scheduler, Ticket

NUMBERS = itertools.count()


def ticket(model: str = "a", context: int = 4096, keep_alive: float = 300) -> Ticket:
    return Ticket(next(NUMBERS), model, context, keep_alive)


def kinds(actions: list[Action]) -> list[str]:
    return [f"{action.kind} {action.model}" for action in actions]


def scheduler(parallel: int = 1, max_queue: int = 512, max_loaded: int = 1) -> Scheduler:
    return Scheduler(parallel, max_queue, max_loaded)


def test_a_cold_model_is_loaded_and_its_request_starts_after() -> None:
    it = scheduler()
    assert kinds(it.request(ticket())) == ["load a"]
    assert kinds(it.loaded("a", 1)) == ["start a"]


def test_a_loaded_model_runs_as_many_as_it_has_slots_and_lets_the_rest_wait_without_limit() -> None:
    it = scheduler(parallel=2, max_queue=0)
    first = ticket()
    it.request(first)
    it.loaded("a", 0)
    assert kinds(it.request(ticket())) == ["start a"]
    waiting = [ticket() for _ in range(50)]
    assert [it.request(one) for one in waiting] == [[]] * 50
    assert it.finish(first, 1) == [Action("start", "a", waiting[0])]


def test_the_loading_queue_is_limited_the_one_being_loaded_not_counted() -> None:
    it = scheduler(max_queue=2)
    for _ in range(3):
        it.request(ticket())
    with pytest.raises(Full):
        it.request(ticket())
    assert kinds(it.loaded("a", 0)) == ["start a"]  # the other two wait for the slot, no longer for the load


def test_a_model_at_work_is_not_evicted_the_load_waits_for_it() -> None:
    it = scheduler()
    busy = ticket("a")
    it.request(busy)
    it.loaded("a", 0)
    assert it.request(ticket("b")) == []
    assert kinds(it.finish(busy, 5)) == ["unload a", "load b"]


def test_of_idle_models_the_one_that_expires_first_is_evicted() -> None:
    it = scheduler(max_loaded=2)
    for name, keep_alive in (("a", 100), ("b", 10)):
        one = ticket(name, keep_alive=keep_alive)
        it.request(one)
        it.loaded(name, 0)
        it.finish(one, 0)
    assert kinds(it.request(ticket("c"))) == ["unload b", "load c"]


def test_another_context_length_reloads_the_model() -> None:
    it = scheduler()
    one = ticket(context=4096)
    it.request(one)
    it.loaded("a", 0)
    it.finish(one, 0)
    assert kinds(it.request(ticket(context=1024))) == ["unload a", "load a"]


def test_an_idle_model_leaves_when_its_time_is_over_and_not_before() -> None:
    it = scheduler()
    one = ticket(keep_alive=10)
    it.request(one)
    it.loaded("a", 0)
    assert it.next_expiry() == FOREVER
    it.finish(one, 100)
    assert it.next_expiry() == 110
    assert it.expire(109) == []
    assert kinds(it.expire(110)) == ["unload a"]


@pytest.mark.parametrize(("keep_alive", "said"), [(0, ["unload a"]), (FOREVER, [])])
def test_keep_alive_zero_unloads_at_once_and_forever_never(keep_alive: float, said: list[str]) -> None:
    it = scheduler()
    one = ticket(keep_alive=keep_alive)
    it.request(one)
    it.loaded("a", 0)
    assert kinds(it.finish(one, 0)) == said
    assert it.next_expiry() == FOREVER


def test_a_request_given_up_while_its_model_loads_leaves_an_idle_model_that_expires() -> None:
    it = scheduler()
    one = ticket(keep_alive=10)
    it.request(one)
    it.finish(one, 0)
    assert it.loaded("a", 1) == []
    assert it.next_expiry() == 11


def test_a_request_given_up_in_the_queue_never_starts() -> None:
    it = scheduler()
    first, second = ticket(), ticket()
    it.request(first)
    it.loaded("a", 0)
    it.request(second)
    it.finish(second, 0)
    assert it.finish(first, 0) == []


def test_giving_a_model_up_waits_for_what_runs_in_it() -> None:
    it = scheduler()
    one = ticket()
    it.request(one)
    it.loaded("a", 0)
    assert it.give_up("a") == []
    assert kinds(it.finish(one, 0)) == ["unload a"]
    assert it.give_up("a") == []
