"""Blocks handed out to workers that die, by a stand-in for Ray: its actors are objects here."""

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
