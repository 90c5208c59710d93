"""An asyncio event loop on virtual time: no sockets, no threads, no clock of the machine.

Time stands still while something can be done and jumps to the next timer when nothing can. What
goes to a thread elsewhere is carried out here as one step, after the time that it is taken to last.
So a run follows from its inputs alone, and an hour of an idle network passes in milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Steps at one moment after which something is taken to spin for ever.
MAX_STEPS_AT_ONCE: Final = 2_000_000


class PowerLoss(BaseException):
    """The machine that a job runs on stops here."""


class Overrun(RuntimeError):
    """The simulation went on for longer than it may, in steps or in virtual time."""


class Process:
    """Whose work something is: one start of one node. Dead ones do nothing any more.

    ``paused``: its work waits, as that of a process that was sent SIGSTOP; None while it runs.
    """

    __slots__ = ("alive", "name", "paused", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused: list[asyncio.Handle] | None = None
        self.tasks: dict[asyncio.Task[Any], None] = {}

    def __repr__(self) -> str:
        return f"Process({self.name})"


#: The process whose code is running; None for the simulation itself.
RUNNING: ContextVar[Process | None] = ContextVar("running", default=None)


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one simulation.

    Args:
        job_seconds: how long a job lasts that a process gives to a thread.
        limit_s: virtual time at which `Overrun` is raised, in seconds from the start.
        on_step: called after each step.
    """

    def __init__(
        self,
        *,
        job_seconds: Callable[[Process | None], float] = lambda _process: 0.0005,
        limit_s: float = 1e9,
        on_step: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._limit = limit_s
        self._job_seconds = job_seconds
        self.on_step = on_step
        #: Called when a job ends the machine that it runs on.
        self.on_power_loss: Callable[[Process | None, PowerLoss], None] = _ignore
        self._due: deque[tuple[Process | None, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, Process | None, asyncio.TimerHandle]] = []
        self._count = 0
        self._current: Process | None = None
        self._busy: dict[int, tuple[Executor, float]] = {}
        self._dying: Process | None = None
        #: How many steps were made.
        self.steps = 0
        #: What went wrong in callbacks and in tasks that nobody waited for.
        self.failures: list[tuple[Process | None, BaseException]] = []

    # --- running -------------------------------------------------------------------------------

    def advance(self, until_s: float, stop: Callable[[], bool] | None = None) -> bool:
        """Run to a moment; True when ``stop``, asked after each step, said so before.

        Raises:
            Overrun: something spins, or time ran out.
        """
        if until_s > self._limit:
            raise Overrun(f"virtual time would pass {self._limit} seconds")
        before = asyncio._get_running_loop()
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=lambda _generator: None, finalizer=lambda _generator: None)
        try:
            return self._advance(until_s, stop)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(before)

    def _advance(self, until_s: float, stop: Callable[[], bool] | None) -> bool:
        at_once = 0
        while True:
            while self._timers and self._timers[0][0] <= self._now:
                _when, _number, process, timer = heapq.heappop(self._timers)
                if not timer.cancelled():
                    self._due.append((process, timer))
            if self._due:
                at_once += 1
                if at_once > MAX_STEPS_AT_ONCE:
                    raise Overrun(f"{at_once} steps at {self._now:.6f} s: something spins")
                if self._step(*self._due.popleft()) and stop is not None and stop():
                    return True
                continue
            if not self._timers or self._timers[0][0] > until_s:
                self._now = max(self._now, until_s)
                return False
            self._now = self._timers[0][0]
            at_once = 0

    def _step(self, process: Process | None, handle: asyncio.Handle) -> bool:
        if handle.cancelled():
            return False
        if process is not None:
            if not process.alive:
                return False
            if process.paused is not None:
                process.paused.append(handle)
                return False
        self.steps += 1
        self._current = process
        handle._run()
        self._current = None
        if self.on_step is not None:
            self.on_step()
        return True

    def inside(self, call: Callable[[], T], process: Process | None = None) -> T:
        """Call something as if the loop, or a process on it, did; what it schedules comes later."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            return self.context(process).run(call)
        finally:
            asyncio._set_running_loop(before)

    @staticmethod
    def context(process: Process | None) -> Context:
        """A context in which everything that is scheduled belongs to a process."""
        context = copy_context()
        context.run(RUNNING.set, process)
        return context

    # --- processes -----------------------------------------------------------------------------

    def resume(self, process: Process) -> None:
        """Let a paused process go on, with everything that came due meanwhile."""
        waiting, process.paused = process.paused or [], None
        self._due.extend((process, handle) for handle in waiting)

    def kill(self, process: Process) -> None:
        """End a process: its tasks see that they were cancelled, then nothing of it runs."""
        self._dying = process
        if process.paused is not None:
            self.resume(process)
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for task in list(process.tasks):
                task.cancel()
            for _ in range(MAX_STEPS_AT_ONCE):
                if not self._last_words(process):
                    break
        finally:
            asyncio._set_running_loop(before)
            process.alive = False
            self._dying = None
        for task in list(process.tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def _last_words(self, process: Process) -> bool:
        """Carry out one thing that a process has at once to do; whether there was one."""
        for place, (owner, handle) in enumerate(self._due):
            if owner is process:
                del self._due[place]
                if not handle.cancelled():
                    self._current = process
                    handle._run()
                    self._current = None
                return True
        return False

    # --- what asyncio asks of a loop -----------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append((_process(context), handle))
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """There are no threads."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, _process(context), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.Task(
            coro, loop=self, name=str(name or "task"), context=context
        )
        process = _process(context)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda done: process.tasks.pop(done, None))
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """One thread for each executor that is given, as many as needed for the default one."""
        process = RUNNING.get()
        begun = self._now
        if executor is not None:
            begun = max(begun, self._busy.get(id(executor), (executor, 0.0))[1])
        done = begun + self._job_seconds(process)
        if executor is not None:
            self._busy[id(executor)] = executor, done
        future: asyncio.Future[T] = self.create_future()
        self.call_at(done, self._carry_out, future, func, args)
        return future

    def _carry_out(
        self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        if self._dying is not None and RUNNING.get() is self._dying:
            return  # a thread has no last words: what it had not done yet, it never does
        try:
            result = func(*args)
        except PowerLoss as loss:
            self.on_power_loss(RUNNING.get(), loss)
        except Exception as error:  # noqa: BLE001
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    async def shutdown_asyncgens(self) -> None:
        """None is kept track of."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(context.get("message", "something failed"))
        self.failures.append((self._current, error))

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def close(self) -> None:
        """Forget everything that was still to be done."""
        self._due.clear()
        self._timers.clear()
        self._busy.clear()
        super().close()


def _process(context: Context | None) -> Process | None:
    return RUNNING.get() if context is None else context.get(RUNNING, None)


def _ignore(_process: Process | None, _loss: PowerLoss) -> None:
    pass
