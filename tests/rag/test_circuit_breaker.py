"""The circuit breaker, with a clock that the test moves."""

from src.rag.circuit_breaker import CircuitBreaker


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def open_breaker(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(failures_to_open=3, open_s=30, clock=clock)
    for _ in range(3):
        breaker.record_failure()
    return breaker


def test_few_failures_leave_it_closed() -> None:
    """Fewer failures than the limit stop nothing."""
    breaker = CircuitBreaker(failures_to_open=3, clock=Clock())
    breaker.record_failure()
    breaker.record_failure()
    assert breaker.allows()


def test_failures_apart_leave_it_closed() -> None:
    """Only failures in a row count."""
    breaker = CircuitBreaker(failures_to_open=2, clock=Clock())
    for _ in range(5):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.allows()


def test_failures_in_a_row_open_it() -> None:
    """A server that keeps failing is not asked."""
    assert not open_breaker(Clock()).allows()


def test_after_a_while_one_call_is_let_through() -> None:
    """Half-open: of many that ask, one tries the server."""
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now_s = 30.0
    assert [breaker.allows(), breaker.allows()] == [True, False]


def test_success_of_the_trial_closes_it() -> None:
    """A server that answers again is asked again."""
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now_s = 30.0
    assert breaker.allows()
    breaker.record_success()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_failure_of_the_trial_opens_it_anew() -> None:
    """One more failure is enough to wait again."""
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now_s = 30.0
    assert breaker.allows()
    breaker.record_failure()
    clock.now_s = 59.0
    assert not breaker.allows()
    clock.now_s = 60.0
    assert breaker.allows()
