"""The breaker between us and a server that keeps failing."""

from dataclasses import dataclass

import pytest

from src.rag.circuit_breaker import CircuitBreaker


@dataclass
class Time:
    """A clock that the test moves."""

    now_s: float = 0.0

    def clock(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


def test_few_failures_leave_the_circuit_closed() -> None:
    """Fewer failures than the limit stop nothing."""
    breaker = CircuitBreaker(failures_to_open=3, clock=Time().clock)
    breaker.record_failure()
    breaker.record_failure()
    assert breaker.allows()


def test_failures_apart_leave_the_circuit_closed() -> None:
    """Only failures in a row count."""
    breaker = CircuitBreaker(failures_to_open=2, clock=Time().clock)
    for _ in range(5):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.allows()


def open_breaker(time: Time) -> CircuitBreaker:
    breaker = CircuitBreaker(failures_to_open=3, open_s=30, clock=time.clock)
    for _ in range(3):
        breaker.record_failure()
    return breaker


def test_after_the_pause_one_call_is_let_through(time: Time) -> None:
    """Half-open: of many that ask, one tries the server, and another one 30 s later."""
    time.now_s = 5.0
    breaker = open_breaker(time)
    allowed = []
    for now_s in (5.0, 34.9, 35.0, 35.0, 64.9, 65.0):
        time.now_s = now_s
        allowed.append(breaker.allows())
    assert allowed == [False, False, True, False, False, True]


def test_success_of_the_trial_closes_the_circuit(time: Time) -> None:
    """A server that answers again is asked again."""
    breaker = open_breaker(time)
    time.now_s = 30.0
    assert breaker.allows()
    breaker.record_success()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_failure_of_the_trial_opens_the_circuit_anew(time: Time) -> None:
    """One more failure is enough to wait again, from its own time."""
    breaker = open_breaker(time)
    time.now_s = 30.0
    assert breaker.allows()
    time.now_s = 40.0
    breaker.record_failure()
    time.now_s = 69.0
    assert not breaker.allows()
    time.now_s = 70.0
    assert breaker.allows()
