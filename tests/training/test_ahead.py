import threading

import pytest

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


def test_waiting_is_counted_from_the_second_item_on():
    gate = threading.Event()

    def source():
        yield 0
        gate.wait(10)
        yield 1

    ahead = Ahead(source())
    coming = iter(ahead)
    next(coming)
    before = ahead.waited
    timer = threading.Timer(0.05, gate.set)
    timer.start()
    assert next(coming) == 1
    assert before < 0.01 < 0.04 < ahead.waited
