"""The blocks of an evaluation, worked at on a cluster of Ray.

A task is the number of a block, its result the files that any process would have written. So
workers may die at any time, and whoever makes the table afterwards finds what one machine would
have left. Actors of Ray core and not Ray Data: its batches are its own, and a map depends in its
last bits on the batch. Nor are restarts those of Ray, which has no limit for a block that kills
whoever works at it but one for the whole run.
"""

import collections
import contextlib
import logging
import math
import os
import secrets
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from saljax.evaluation.cases import Complain
from saljax.evaluation.evaluate import Work, warn
from saljax.evaluation.study import Study
from saljax.evaluation.worker import Make, Told, Worker, identity

EVERY = 1.0
"""Seconds after which workers are asked how far they are. Our choice."""
TRIES = 3
"""Workers that may die of one block, or in a row while they start. Our choice."""
OBJECTS = 80 << 20
"""Bytes for what travels within a cluster that is started here, about the least Ray takes."""

PATIENCE = 60.0
"""Seconds without any worker after which it is said what the cluster has left. Our choice."""
CONNECTED = 10.0
"""Seconds in which a cluster has to answer. Our choice."""
TOKENS = "; if it wants a token: RAY_AUTH_MODE=token and its RAY_AUTH_TOKEN, in the environment"
"""Ray (2.52 and later) says of a wrong token, or of none, that it could not connect."""


def evaluate(
    make: Make,
    study: Study,
    complain: Complain,
    advance: Callable[..., None],
    note: Complain,
    stopped: Callable[[], bool],
    address: str | None = None,
    workers: int | None = None,
) -> None:
    """Have all blocks done that are asked for; a worker that is lost is replaced.

    Args:
        make: makes `study` in another process; see `Worker.start`.
        study: what is asked; all workers must see its folder.
        complain: see `evaluate.evaluate`.
        advance: likewise.
        note: likewise; told of workers that are lost too.
        stopped: asked before a block is handed out; if so, those in work are waited for.
        address: of a cluster, as `ray.init` takes it; None: one is started here, and ended.
        workers: how many; None: one a GPU, and where there is none one a machine.

    Raises:
        ValueError: Ray or the cluster is not there; a worker sees other files, or has other
            versions; workers die again and again.
        KeyboardInterrupt: it was `stopped`.
    """
    warn(study, note)
    expected = identity(study, Work(study, complain, advance, note))
    with _cluster(address, workers) as ray, _sign(study.out) as sign:
        number, asked = _share(ray, workers, len(study.blocks))
        crew = _Crew(ray, asked, (make, Path.cwd(), sign, expected), complain, advance, note)
        try:
            crew.work(number, study.blocks, stopped)
        finally:
            crew.dismiss()
    if stopped():
        raise KeyboardInterrupt


class _Hand:
    """A worker, as it is known here: what it was asked for and has not answered yet."""

    def __init__(self, actor: Any, begun: Any):
        self.actor, self.busy, self.asked = actor, begun, None
        self.number: int | None = None
        self.heard = self.before = Told()


class _Crew:
    def __init__(self, ray: Any, asked: dict[str, Any], given: tuple, complain, advance, note):
        self._ray, self._given, self._advance, self._note = ray, given, advance, note
        self._say = {"complain": complain, "note": note}
        self._actor = ray.remote(Worker).options(max_concurrency=2, max_restarts=0, **asked)
        self._hands, self._started = list[_Hand](), False
        self._todo: collections.deque[int] = collections.deque()
        self._deaths: collections.Counter[int | None] = collections.Counter()

    def work(self, workers: int, numbers: list[int], stopped: Callable[[], bool]) -> None:
        ray, hands, todo = self._ray, self._hands, self._todo
        todo.extend(numbers)
        hands += [self._hire() for _ in range(workers)]
        begun = time.monotonic()
        while (todo and not stopped()) or any(one.number is not None for one in hands):
            for one in hands:  # those that have not started yet are waited for by no block
                if one.busy is None and todo and not stopped():
                    one.number = todo.popleft()
                    one.busy = one.actor.work.remote(one.number)
            busy = [one.busy for one in hands if one.busy is not None]
            ready, _ = ray.wait(busy, timeout=EVERY)
            for one in list(hands):
                if one.busy in ready:
                    self._finish(one)
                elif one.number is not None:
                    self._ask(one)
            if not self._started and time.monotonic() - begun > PATIENCE:
                free = ", ".join(f"{n} {v:g}" for n, v in ray.available_resources().items())
                self._note("ray", f"no worker has started yet; the cluster has left: {free}")
                begun = math.inf

    def dismiss(self) -> None:
        for one in self._hands:
            self._ray.kill(one.actor)

    def _hire(self) -> _Hand:
        actor = self._actor.remote()
        return _Hand(actor, actor.start.remote(*self._given))

    def _ask(self, one: _Hand) -> None:
        """How far it is; the answer is heard the next time."""
        if one.asked is None:
            one.asked = one.actor.told.remote()
        elif self._ray.wait([one.asked], timeout=0)[0]:
            with contextlib.suppress(self._ray.exceptions.RayError):  # it is lost, see `_finish`
                self._hear(one, self._ray.get(one.asked))
            one.asked = None

    def _finish(self, one: _Hand) -> None:
        errors = self._ray.exceptions
        try:
            for answer in filter(None, (one.asked, one.busy)):
                self._hear(one, self._ray.get(answer))
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            self._replace(one, str(error))
            return
        self._started = True
        self._deaths[one.number] = 0
        one.before, one.asked, one.busy, one.number = one.heard, None, None, None

    def _hear(self, one: _Hand, told: Told) -> None:
        done, spared = told.done - one.heard.done, told.spared - one.heard.spared
        self._advance(done, spared=spared, work=told.work)
        one.heard = told
        for kind, what, text in told.said:
            self._say[kind](what, text)

    def _replace(self, one: _Hand, why: str) -> None:
        """What it had done of its block is counted again, by the next one."""
        self._hear(one, one.before._replace(said=()))
        self._deaths[one.number] += 1
        where = "its start" if one.number is None else f"block {one.number}"
        if self._deaths[one.number] == TRIES:
            raise ValueError(f"ray: {TRIES} workers died of {where}: {why.splitlines()[0]}")
        if one.number is not None:
            self._todo.appendleft(one.number)
        self._note("ray", f"a worker died at {where}; another one takes its place")
        self._ray.kill(one.actor)
        self._hands[self._hands.index(one)] = self._hire()


def _share(ray: Any, workers: int | None, blocks: int) -> tuple[int, dict[str, Any]]:
    """How many workers there are, and what each asks of the cluster."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    machines = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")]
    number = min(workers or gpus or len(machines), blocks)
    if not gpus:
        return number, {"num_cpus": 1, "scheduling_strategy": "SPREAD"}
    of_one = -(-number // gpus)  # workers that share a GPU, and its memory
    together = {"env_vars": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}} if of_one > 1 else {}
    return number, {"num_gpus": 1 / of_one, "num_cpus": 0, "runtime_env": together}


@contextlib.contextmanager
def _sign(out: Path) -> Iterator[Path]:
    """A file that only who sees this folder can see."""
    out.mkdir(parents=True, exist_ok=True)
    sign = out / f".{secrets.token_hex(8)}"
    sign.touch()
    try:
        yield sign.absolute()
    finally:
        sign.unlink(missing_ok=True)


@contextlib.contextmanager
def _cluster(address: str | None, workers: int | None) -> Iterator[Any]:
    """Ray, connected; what is started here reports nothing to anybody and serves no page."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of a change
    try:
        import ray.exceptions
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ValueError("the engine ray needs its extra: pip install 'saljax[ray]'") from None
    given: dict[str, Any] = {"address": address}
    host, _, port = (address or "").rpartition(":")
    if port.isdigit() and "://" not in host:
        try:  # Ray tries for minutes, and says so in many lines
            socket.create_connection((host, int(port)), CONNECTED).close()
        except OSError as error:
            raise ValueError(f"ray: nothing answers at {address}: {error}") from None
    if address is None:
        given = {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}
        given["num_cpus"] = workers or 1
        os.environ.setdefault("RAY_worker_niceness", "0")  # not 15: they are all that works here
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"os\.fork\(\)")  # JAX warns; Ray's child only execs
            ray.init(**given, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, ray.exceptions.RayError) as error:
        said = str(error).splitlines()[0].partition(". ")[0] + (TOKENS if address else "")
        raise ValueError(f"ray: no cluster at {address or 'this machine'}: {said}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray has set its own
    try:
        yield ray
    finally:
        ray.shutdown()
