"""The daemon: gives every service its turns, watches that they come back, and stops in order.

APScheduler gives out the turns. A turn is a run of ticks of one service: as long as the service wants to be called
again soon the turn goes on, up to a few seconds, and then asks the scheduler for the next one. What a tick raises
decides: `Temporary` is tried again and shows in readiness, `Permanent` waits longer and shows too (`Forbidden` ever
longer: a login that is being changed is soon right again), anything else is a fault of trueup itself: the service is
dead, and liveness says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from trueup.clock import SET_BACK_SECONDS
from trueup.logs import calls
from trueup.services.group import Service
from verifier.errors import Forbidden, Permanent, Temporary, TrueupError
from verifier.ports import Clock

logger = logging.getLogger("trueup.daemon")

_TURN_SECONDS = 5.0
_SOON_SECONDS = 0.5
_PERMANENT_SECONDS = 30.0
_FORBIDDEN_SECONDS = 5.0
_STUCK_SECONDS = 600.0


@dataclass(slots=True)
class Post:
    """A service at its post, and how it is doing. Times are seconds since the epoch."""

    group: str
    service: Service
    ticking_since: float | None = None
    last_success_at: float | None = None
    failing_since: float | None = None
    problem: str | None = None
    dead: str | None = None
    failures: int = 0

    @property
    def title(self) -> str:
        return f"{self.group}: {self.service.name}"


class _Turns(BackgroundScheduler):  # type: ignore[misc]
    """The scheduler, which tells when its thread has ended."""

    ended = False

    def _main_loop(self) -> None:
        try:
            super()._main_loop()
        except JobLookupError:
            # Stopping takes the jobs away, also one that the thread was just about to hand out.
            if self.running:
                raise
        finally:
            self.ended = True


@dataclass(slots=True)
class Daemon:
    """Runs `posts` until `stop`. `ticked` and `failed` are told for metrics."""

    posts: Sequence[Post]
    clock: Clock
    ticked: Callable[[Post, float], None] = lambda post, seconds: None
    failed: Callable[[Post], None] = lambda post: None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _handing: threading.Lock = field(default_factory=threading.Lock)
    _scheduler: _Turns | None = None
    _ahead: float | None = None
    """How far the time of day is ahead of the seconds that have passed."""

    def start(self) -> None:
        """Return at once; the services run in threads of the scheduler's pool, one turn each at a time."""
        self._scheduler = _Turns(
            executors={"default": ThreadPoolExecutor(max(1, len(self.posts)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.start()
        for post in self.posts:
            self._later(post, 0.0)

    def wait(self, stop: Callable[[], bool], seconds: float | None = None) -> None:
        """Until `stop()` holds, or for `seconds`."""
        until = None if seconds is None else time.monotonic() + seconds
        while not stop() and (until is None or time.monotonic() < until):
            time.sleep(0.1)
            self._mind_clock()

    def _mind_clock(self) -> None:
        """The scheduler goes by the time of day. Where that was set back, everybody gets a turn, or all would wait
        until it is where it was."""
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        if before is None or self._ahead > before - SET_BACK_SECONDS or self._scheduler is None:
            return
        back = round(before - self._ahead, 1)
        logger.warning("the clock was set back", extra={"action": "clock_set_back", "seconds": back})
        for job in self._scheduler.get_jobs():
            with suppress(JobLookupError):
                job.reschedule("date", run_date=datetime.now(UTC))

    def stop(self) -> None:
        """Let every tick in progress end, then stop. Services are closed by their owner."""
        # The scheduler holds its locks while it waits for turns to end: one that asks for its next would wait for ever.
        with self._handing:
            self._stopping.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)

    def dead(self) -> list[str]:
        """Why the process should be restarted: dead services, ticks that never end, a scheduler that stopped."""
        now = self.clock.now()
        found = [f"{post.title} died: {post.dead}" for post in self.posts if post.dead is not None]
        for post in self.posts:
            since = post.ticking_since
            if since is not None and now - since > _STUCK_SECONDS:
                found.append(f"{post.title} has been busy for {now - since:.0f} s")
        scheduler = self._scheduler
        if scheduler is not None and not self._stopping.is_set() and scheduler.ended:
            found.append("the scheduler stopped")
        return found

    def troubled(self) -> list[str]:
        """What keeps services from doing their work now."""
        return [f"{post.title}: {post.problem}" for post in self.posts if post.problem is not None]

    def _later(self, post: Post, seconds: float) -> None:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        with self._handing:
            if not self._stopping.is_set() and self._scheduler is not None:
                self._scheduler.add_job(self._turn, "date", run_date=at, args=[post])

    def _turn(self, post: Post) -> None:
        until = time.monotonic() + _TURN_SECONDS
        delay = 0.0
        while not self._stopping.is_set():
            delay = self._tick(post)
            if post.dead is not None:
                return
            if delay > _SOON_SECONDS or time.monotonic() >= until:
                break
            self._stopping.wait(delay)
        self._later(post, delay)

    def _tick(self, post: Post) -> float:
        """One tick; the seconds until the next."""
        now = self.clock.now()
        post.ticking_since = now
        try:
            delay = post.service.tick(now)
        except Temporary as problem:
            return self._note(post, str(problem), max(problem.delay_seconds, min(30.0, 0.5 * post.failures)))
        except Forbidden as problem:
            return self._note(post, str(problem), min(_PERMANENT_SECONDS, _FORBIDDEN_SECONDS * (post.failures + 1)))
        except Permanent as problem:
            return self._note(post, str(problem), _PERMANENT_SECONDS)
        except Exception as problem:
            # Everything else is a fault of trueup itself: say so loudly, and do not go on with a broken service.
            post.dead = _said(problem)
            told = {"action": "service_died", "service": post.title, "why": post.dead, "trace": calls(problem)}
            logger.critical("service died", extra=told)
            self.failed(post)
            return 0.0
        finally:
            post.ticking_since = None
        done = self.clock.now()
        if post.problem is not None:
            logger.info("service recovered", extra={"action": "service_recovered", "service": post.title})
        post.problem, post.failing_since, post.failures = None, None, 0
        post.last_success_at = done
        self.ticked(post, done - now)
        return delay

    def _note(self, post: Post, problem: str, delay: float) -> float:
        if post.problem != problem:
            logger.warning(problem, extra={"action": "service_failing", "service": post.title})
        post.problem = problem
        post.failures += 1
        post.failing_since = post.failing_since or self.clock.now()
        self.failed(post)
        return delay


def _said(problem: Exception) -> str:
    """What it says, if it is one of ours. Any other may quote a row, which health and log do not."""
    kind = type(problem).__name__
    return f"{kind}: {problem}" if isinstance(problem, TrueupError) else f"{kind}, a fault of trueup: see the log"
