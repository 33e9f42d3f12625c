"""Blocks handed out to workers that die, by a stand-in for Ray: its actors are objects here."""

import sys
from types import SimpleNamespace

import pytest

from saljax.evaluation import on_ray
from saljax.evaluation.worker import Told


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        self.cause = cause


class Ray:
    """Actors answer at once; `happens` says of a call (`start`, `work`, block) what it raises.

    A call that raises `TimeoutError` is never answered.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, happens):
        self.happens, self.actors, self.killed, self.worked = happens, 0, 0, []

    def remote(self, actor):
        return SimpleNamespace(options=lambda **given: SimpleNamespace(remote=self._actor))

    def _actor(self):
        self.actors += 1
        number, done = self.actors, []

        def work(block):
            self.worked.append((number, block))
            done.append(block)
            return Told(len(done), 0, "", (("note", "block", f"{block} by {number}"),))

        call = {"start": lambda *given: Told(), "work": work, "told": lambda: Told(len(done))}
        return SimpleNamespace(
            **{
                name: SimpleNamespace(
                    remote=lambda *given, name=name: self._answer(name, number, call[name], given)
                )
                for name in call
            }
        )

    def _answer(self, name, number, call, given):
        error = self.happens(name, number, *(given if name == "work" else ()))
        return (error, None) if error else (None, call(*given))

    def wait(self, answers, timeout):
        return [one for one in answers if not isinstance(one[0], TimeoutError)], []

    def get(self, answer):
        if answer[0]:
            raise answer[0]
        return answer[1]

    def kill(self, actor):
        self.killed += 1


@pytest.fixture
def crew():
    """A function that has blocks done by a Ray, and gives what was counted and said."""

    def work(ray, blocks, workers=2, stopped=lambda: False):
        done, said = [], []
        crew = on_ray._Crew(
            ray, {}, (), None, lambda items, **told: done.append(items),
            lambda what, text: said.append(f"{what}: {text}"),
        )  # fmt: skip
        crew.work(workers, blocks, stopped)
        return sum(done), said

    return work


def test_each_block_is_done_once(crew):
    ray = Ray(lambda *call: None)
    done, said = crew(ray, [0, 1, 2, 5, 7])
    assert sorted(block for _, block in ray.worked) == [0, 1, 2, 5, 7] and done == 5
    assert {number for number, _ in ray.worked} == {1, 2} and len(said) == 5


def test_a_worker_that_dies_is_replaced(crew):
    ray = Ray(lambda name, number, *block: RayError("gone") if (number, *block) == (1, 2) else None)
    done, said = crew(ray, [0, 1, 2, 3])
    assert sorted(block for _, block in ray.worked) == [0, 1, 2, 3] and done == 4
    assert ray.actors == 3 and ray.killed == 1
    assert "ray: a worker died at block 2; another one takes its place" in said


def test_a_worker_that_never_starts_holds_no_block(crew):
    ray = Ray(lambda name, number, *block: TimeoutError() if number == 1 else None)
    assert crew(ray, [0, 1, 2])[0] == 3
    assert {number for number, _ in ray.worked} == {2}


def test_it_is_said_that_none_has_started(crew, monkeypatch):
    monkeypatch.setattr(on_ray, "PATIENCE", 0.0)
    called = []
    ray = Ray(lambda *call: None)
    ready = ray.wait
    ray.wait = lambda answers, timeout: (
        ready(answers, 0) if called.append(0) or called[3:] else ([], [])
    )
    ray.available_resources = lambda: {"CPU": 0.5, "memory": 1e9}
    done, said = crew(ray, [0])
    text = "ray: no worker has started yet; the cluster has left: CPU 0.5, memory 1e+09"
    assert done == 1 and said.count(text) == 1


@pytest.mark.parametrize("error", [ConnectionError("Failed to connect"), RayError("No token")])
def test_a_cluster_that_wants_a_token(monkeypatch, error):
    """Ray says the one where the token is missing or wrong, the other where it is not set."""

    def init(**given):
        raise error

    fake = SimpleNamespace(init=init, exceptions=Ray.exceptions)
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setitem(sys.modules, "ray.exceptions", fake.exceptions)
    says = f"ray: no cluster at auto: {error}; .*RAY_AUTH_MODE=token .*RAY_AUTH_TOKEN"
    with pytest.raises(ValueError, match=says), on_ray._cluster("auto", None):
        pass


@pytest.mark.parametrize(
    ("gpus", "machines", "workers", "number", "of_gpu"),
    [
        (0, 3, None, 3, None),
        (0, 1, 2, 2, None),
        (8, 2, None, 8, 1.0),
        (8, 2, 4, 4, 1.0),
        (2, 1, 3, 3, 0.5),
        (2, 1, 4, 4, 0.5),
        (2, 1, 5, 5, 1 / 3),
        (16, 2, None, 10, 1.0),
    ],
)
def test_how_many_workers_there_are(gpus, machines, workers, number, of_gpu):
    """Ten blocks: never more workers; those that share a GPU do not take its memory at once."""
    head = {"Alive": True, "Resources": {"node:a": 1.0}}
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0}}] * machines
    dead = {"Alive": False, "Resources": {"CPU": 8.0}}
    resources = {"CPU": 8.0 * machines} | ({"GPU": float(gpus)} if gpus else {})
    ray = SimpleNamespace(cluster_resources=lambda: resources, nodes=lambda: [head, *nodes, dead])
    found, asked = on_ray._share(ray, workers, 10)
    assert found == number and asked.get("num_gpus") == of_gpu
    assert asked["num_cpus"] == (0 if gpus else 1)
    shares = "XLA_PYTHON_CLIENT_PREALLOCATE" in str(asked)
    assert shares == (of_gpu is not None and of_gpu < 1)


def test_a_block_that_kills_whoever_works_at_it_ends_the_run(crew):
    ray = Ray(lambda name, number, *block: RayError("why\nat length") if block == (1,) else None)
    with pytest.raises(ValueError, match="ray: 3 workers died of block 1: why$"):
        crew(ray, [0, 1, 2, 3])
    assert ray.actors == 4
    ray = Ray(lambda name, number, *block: RayError("why") if name == "start" else None)
    with pytest.raises(ValueError, match="3 workers died of its start: why"):
        crew(ray, [0, 1])


def test_an_error_of_the_work_is_that_of_the_run(crew):
    ray = Ray(lambda name, *rest: RayTaskError(OSError(28, "full")) if name == "work" else None)
    with pytest.raises(OSError, match="full"):
        crew(ray, [0, 1])
    assert ray.actors == 2


def test_stopped_no_block_is_begun(crew):
    ray = Ray(lambda *call: None)
    assert crew(ray, list(range(9)), stopped=lambda: len(ray.worked) >= 2)[0] == 2
    assert len(ray.worked) == 2
