"""gunicorn's threaded worker, with bounds on what a stranger can hold (docs/decisions/0008).

gthread gives a thread to every connection that sends a first byte, and waits there without limit. Here the one loop
that accepts also reads. A thread gets a request when it is whole, and waits for a client only while it writes, within
the bounds of `client_socket.py`. A connection that waits costs a descriptor and some kB; at the limit the oldest one
makes room. `/health` and `/ready` have threads of their own.
"""

import errno
import resource
import select
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from socket import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from src.server.client_socket import PATIENCE_S, ClientSocket, Stalls
from src.server.connection import Connection, error_bytes
from src.server.pool import Pool
from src.server.relay import Relay
from src.server.request_framing import BodyRefused
from src.server.waiting_room import WaitingRoom

# A connection that is closed still reads this long, so that the client gets what was written. One that waits when the
# worker stops has as long for a request that is on its way.
LINGER_S = 2.0
SWEEP_S = 0.25
STOPPING_TICK_S = 0.05
READ_BYTES = 64 * 1024
# What all requests that are not whole may take together.
MOST_BUFFERED_BYTES = 2 * 1024 * 1024
PROBES = (b"GET /health", b"HEAD /health", b"GET /ready")
PROBE_THREADS = 2
# A request that came with the one before waits until fewer than this are being answered. Clients that pipeline would
# keep all threads busy, and threads that wait for each other's turn in Python made /health take 1.1 s.
PIPELINED_BELOW = 4
# Connections that stay free for probes when all the others are being answered.
KEPT_FOR_PROBES = 8


class BoundedWorker(ThreadWorker):  # type: ignore[misc]
    """gthread with a poller that reads whole requests."""

    # Made in the master, which imports this class for all its workers.
    _relay = Relay()
    # Tells, when this one stops, whether another worker goes on.
    is_followed: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.alive: bool
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # The rest is for the index and the model, which hold 32, and for the connections to the LLM.
        self._most = min(self.worker_connections, files // 3 if files > 0 else self.worker_connections)
        self._stalls = Stalls()
        self._pipelined: deque[Connection] = deque()
        self._busy, self._swept_at = 0, 0.0
        self._stops_waiting_at = float("inf")

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker cannot do.

        Raises:
            SystemExit: TLS.
        """
        super().check_config(cfg, log)
        if cfg.is_ssl:
            sys.exit("The server cannot start: this worker has no TLS. Let a proxy do it.")

    def get_thread_pool(self) -> Pool:
        """Make the pool for everything but probes."""
        return Pool(self.cfg.threads)

    def run(self) -> None:
        """Serve until told to stop; then finish what was begun."""
        self._probes = Pool(PROBE_THREADS)
        for pool in (self.tpool, self._probes):
            pool.submit(int)  # so that it has a thread, and goes on where the system gives no more
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        self._waiting = WaitingRoom(self.poller, self._read)
        self.poller.register(self._relay, selectors.EVENT_READ, self._take_over)
        self.set_accept_enabled(True)
        while self.alive and self.is_parent_alive():
            self._tick(1.0)
        self.alive = False
        self._end_accepting()
        self.poller.unregister(self._relay)
        self._stops_waiting_at = time.monotonic() + LINGER_S
        self._waiting.end_by(self._stops_waiting_at)
        ends_at = time.monotonic() + self.cfg.graceful_timeout
        while (self._waiting or self._busy or self._pipelined) and time.monotonic() < ends_at:
            if self.is_followed():
                self._waiting.hand_on(self._relay)
            self._tick(STOPPING_TICK_S)
        self.tpool.shutdown(wait=False)
        self._probes.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()

    def _end_accepting(self) -> None:
        """Listen no more; where no worker follows, take those whom the system has let in: it would reset them."""
        self.set_accept_enabled(False)
        for listener in self.sockets:
            for _ in range(0 if self.is_followed() else self._most):
                if not select.select([listener], (), (), 0)[0]:
                    break
                self.accept(listener)
            listener.close()

    def accept(self, listener: socket) -> None:
        """Take a connection; at the limit, the oldest one that waits makes room."""
        if len(self._waiting) + len(self._pipelined) + self._busy >= self._most and not self._make_room():
            self.set_accept_enabled(False)
            return
        try:
            accepted, _ = listener.accept()
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self.set_accept_enabled(self._make_room())
            elif exc.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self._admit(accepted, is_known=False)

    def _make_room(self) -> bool:
        """Drop one that waits, or else one whose next request came with the one before."""
        if not self._waiting.make_room():
            if not self._pipelined:
                return False
            self._pipelined.pop().close()
        return True

    def _take_over(self, relay: Relay) -> None:
        """Go on with a connection of the worker before."""
        if (taken := relay.take()) is not None:
            self._admit(taken, is_known=True)

    def _admit(self, accepted: socket, *, is_known: bool) -> None:
        try:
            names = accepted.getpeername(), accepted.getsockname()
        except OSError:  # its client has gone
            accepted.close()
            return
        connection = Connection(self.cfg, ClientSocket(accepted, self._stalls), *names)
        connection.is_known = is_known
        self._waiting.add(connection)

    def finish_request(self, connection: Connection, future: "Future[bool]") -> None:
        """Take a connection back from its thread; called in the loop."""
        self._busy -= 1
        if not future.exception() and future.result() and not connection.framing.is_malformed:
            connection.expect_request(connection.parser.unreader.take_buffered())
            connection.is_known = True
            if not self.alive:
                connection.deadline = time.monotonic() + LINGER_S
            if connection.received:
                self._pipelined.append(connection)
            else:
                self._waiting.add(connection)
        else:
            self._waiting.add(connection)
            self._close_gently(connection)
        if self.alive:
            self.set_accept_enabled(True)
        while self._pipelined and self._busy < PIPELINED_BELOW:
            following = self._pipelined.popleft()
            self._waiting.add(following)
            self._look(following)

    def _tick(self, timeout_s: float) -> None:
        self.notify()
        self.wait_for_and_dispatch_events(timeout_s)
        now = time.monotonic()
        if now - self._swept_at < SWEEP_S:
            return
        self._swept_at = now
        for connection in self._waiting.overdue(now):
            if connection.received and not connection.is_closing:
                self._refuse(connection, 408, "request_timeout", "The request did not come whole in time.")
            else:
                self._waiting.drop(connection)
        self.set_accept_enabled(self.alive)

    def _read(self, connection: Connection, sock: ClientSocket) -> None:
        try:
            data = sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._waiting.drop(connection)
        elif not connection.is_closing:
            connection.received += data
            self._look(connection)

    def _look(self, connection: Connection) -> None:
        """See whether the request is whole, and bound what is not."""
        had_head = connection.framing.has_head
        try:
            if connection.framing.is_whole(connection.received):
                return self._answer(connection)
        except BodyRefused as exc:
            return self._refuse(connection, exc.status, exc.code, str(exc))
        connection.note_piece(self._stops_waiting_at)
        if not had_head:
            connection.invite_body()
        largest = self._waiting.largest_above(MOST_BUFFERED_BYTES)
        if largest is not None:
            self._refuse(largest, 503, "overloaded", "Too many requests are half-sent.")
        return None

    def _answer(self, connection: Connection) -> None:
        """Give the request to a thread."""
        is_probe = connection.received.startswith(PROBES)
        if not is_probe and self._busy >= self._most - KEPT_FOR_PROBES:
            return self._refuse(connection, 503, "overloaded", "Too many requests at once.")
        connection.sock.patience_s = 0.0 if is_probe else PATIENCE_S
        try:
            future = (self._probes if is_probe else self.tpool).submit(self.handle, connection)
        except RuntimeError:
            return self._refuse(connection, 503, "overloaded", "The server has no thread for this request.")
        self._waiting.remove(connection)
        self._busy += 1
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, connection, done))
        return None

    def _refuse(self, connection: Connection, status: int, code: str, message: str) -> None:
        with suppress(OSError):
            connection.sock.send(error_bytes(status, code, message))
        self._close_gently(connection)

    def _close_gently(self, connection: Connection) -> None:
        if not connection.stop_writing(until=time.monotonic() + (LINGER_S if self.alive else SWEEP_S)):
            self._waiting.drop(connection)
