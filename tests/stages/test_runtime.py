"""Interrupts while Ray works: they wait, and are not lost."""

import os
import signal

import pytest

from fireact_ray.stages.runtime import interrupts_wait

pytestmark = pytest.mark.ray

INTERRUPTS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(params=INTERRUPTS)
def number(request):
    """As in a command: both raise KeyboardInterrupt."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in INTERRUPTS}
    yield request.param
    for each, handler in before.items():
        signal.signal(each, handler)


def test_an_interrupt_takes_effect_at_the_end(number):
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait() as interrupted:
        reached.append(interrupted())
        os.kill(os.getpid(), number)
        reached.append(interrupted())
    assert reached == [False, True]
    assert signal.getsignal(number) is signal.default_int_handler


def test_the_second_interrupt_does_not_wait(number):
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        pytest.fail("it went on")


def test_a_signal_that_is_ignored_stays_so(number):
    signal.signal(number, signal.SIG_IGN)
    with interrupts_wait() as interrupted:
        os.kill(os.getpid(), number)
        assert not interrupted()
    assert signal.getsignal(number) == signal.SIG_IGN
