import threading
from types import SimpleNamespace

import pytest

from fireact_ray.training import ahead
from fireact_ray.training.ahead import Ahead


def test_items_come_in_order_each_made_while_the_one_before_is_in_use():
    made = []
    asked = threading.Event()

    def source():
        for i in range(4):
            made.append(i)
            if i == 2:
                asked.set()
            yield i

    coming = iter(Ahead(source()))
    assert next(coming) == 0
    assert next(coming) == 1
    assert asked.wait(10)  # the third is made though nobody has asked for it
    assert made == [0, 1, 2]
    assert list(coming) == [2, 3]


def test_what_the_source_raises_comes_where_its_item_would_have():
    def source():
        yield from (0, 1)
        raise ZeroDivisionError("of the third")

    seen = []
    with pytest.raises(ZeroDivisionError, match="of the third"):
        for item in Ahead(source()):
            seen.append(item)
    assert seen == [0, 1]


def test_nothing_is_left_running_after_the_last_item_or_when_the_user_stops():
    threads = set(threading.enumerate())
    assert list(Ahead([])) == []
    assert list(Ahead([1, 2])) == [1, 2]
    coming = iter(Ahead([1, 2, 3]))
    next(coming)
    coming.close()
    assert set(threading.enumerate()) == threads


def test_waiting_is_counted_from_the_second_item_on(monkeypatch):
    seen: list[float] = []
    now, waits = [0.0], threading.Event()

    def clock() -> float:
        seen.append(now[0])
        if len(seen) == 3:  # before and behind the first item, before the second
            waits.set()
        return seen[-1]

    def source():
        now[0] += 5.0
        yield 0
        assert waits.wait(60)
        now[0] += 3.0
        yield 1

    monkeypatch.setattr(ahead, "time", SimpleNamespace(perf_counter=clock))
    items = Ahead(source())
    coming = iter(items)
    assert (next(coming), items.waited) == (0, 0.0)
    assert (next(coming), items.waited) == (1, 3.0)
