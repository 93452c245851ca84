"""The fault harness: runs any operation by the ledger alone, in this process, with a fault aimed at a named point.

It stands in for the broker: it takes what dispatch would publish and runs it, as a worker would. Faults are aimed at
the engine's probes (`<kind>.<step>.<point>`), and each says afterwards whether it fired; one that did not is a failure
of the test. A crash throws away what a process holds in memory, as SIGKILL does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from workers import cancel, clock, dispatch, probes, recovery, runner, workflow
from workers.models import ACTIVE, Operation
from workers.outcome import Outcome
from workers.process import PROCESS, Process
from workers.retry import StepFailed
from workers.route import Link
from workers.workflow import Workflow

MOST_LINKS = 500


class Crash(BaseException):
    """The worker process dies here."""


class Endless(AssertionError):
    """An operation did not end."""


@dataclass
class Fault:
    """Something that goes wrong at a probe, the first `times` times that it is reached: an error, or what act does."""

    point: str
    error: BaseException | None = None
    times: int = 1
    fired: int = 0
    act: Callable[[UUID], object] | None = None

    def strike(self, reached: str, operation_id: UUID) -> None:
        """Fire where the probe is ours."""
        if reached != self.point or self.fired >= self.times:
            return
        self.fired += 1
        if self.act is not None:
            self.act(operation_id)
        if self.error is not None:
            raise self.error


def crash(point: str, *, times: int = 1) -> Fault:
    """Return a fault that kills the worker at this point."""
    return Fault(point, Crash(), times)


def failure(point: str, *, retryable: bool, times: int = 1) -> Fault:
    """Return a fault that makes the step raise at this point."""
    return Fault(point, StepFailed(f"made to fail at {point}", retryable=retryable), times)


def cancelled(point: str) -> Fault:
    """Return a fault that cancels the operation at this point."""
    return Fault(point, act=lambda operation_id: cancel.cancel(operation_id, by="a test"))


@dataclass
class Drive:
    """Runs one operation to its end; `twice` runs every link a second time, as a broker that redelivers does."""

    operation_id: UUID
    faults: list[Fault] = field(default_factory=list)
    twice: bool = False
    links: list[str] = field(default_factory=list)

    def run(self) -> Operation:
        """Run the operation until it has ended; raises Endless."""
        with self._aimed():
            for _ in range(MOST_LINKS):
                operation = Operation.objects.get(id=self.operation_id)
                if operation.state not in ACTIVE:
                    return operation
                self._go_on(operation)
        raise Endless(f"{operation} is {operation.state} at step {operation.cursor} after {MOST_LINKS} links")

    def step(self) -> None:
        """Run the next segment of the operation, if it has not ended."""
        with self._aimed():
            operation = Operation.objects.get(id=self.operation_id)
            if operation.state in ACTIVE:
                self._go_on(operation)

    def _go_on(self, operation: Operation) -> None:
        _hurry(operation)
        links = dispatch.links_of(operation)
        for link in links:
            outcome = self._run_link(link)
            if self.twice:
                repeated = self._run_link(link)
                if repeated is not Outcome.STOP:
                    raise AssertionError(f"link {link} ran twice: {repeated}")
            if outcome is not Outcome.NEXT:
                return

    def _run_link(self, link: Link) -> Outcome:
        self.links.append(f"{link.direction} {link.cursor}")
        try:
            return runner.run(self.operation_id, link.direction, link.cursor)
        except Crash:
            die()
            return Outcome.STOP

    @contextmanager
    def _aimed(self) -> Iterator[None]:
        def reached(point: str) -> None:
            for fault in self.faults:
                fault.strike(point, self.operation_id)

        with probes.installed(reached):
            yield


def die() -> None:
    """Lose what this process holds in memory, and have recovery find its leases as a new worker of the host would."""
    fresh = Process()
    PROCESS._batons, PROCESS._running, PROCESS._locked = fresh._batons, fresh._running, fresh._locked
    for operation in Operation.objects.filter(state__in=ACTIVE, lease_token__isnull=False):
        recovery.free(operation, "the worker died")


def _hurry(operation: Operation) -> None:
    """Let no back-off hold up a test: what waits for its time may run now."""
    Operation.objects.filter(id=operation.id, lease_token=None, run_after__gt=clock.now()).update(run_after=0)


def points(flow: Workflow) -> list[str]:
    """Return every probe that a forward run of the workflow can reach."""
    return [f"{flow.kind}.{step.name}.{point}" for step in flow.steps for point in probes.POINTS]


def undo_points(flow: Workflow) -> list[str]:
    """Return every probe that an undo of the workflow can reach."""
    return [
        f"{flow.kind}.undo-{step.name}.{point}"
        for step in flow.steps
        if step.undo is not None
        for point in probes.POINTS
    ]


def matrix() -> list[tuple[str, str, str]]:
    """Return (kind, fault, point) for every registered workflow: what the fault tests are generated from."""
    cases: list[tuple[str, str, str]] = []
    for kind, flow in sorted(workflow.registered().items()):
        cases += [(kind, "crash", point) for point in points(flow)]
        cases += [(kind, "retryable", point) for point in points(flow) if not point.endswith("committed")]
        cases += [(kind, "permanent", point) for point in points(flow) if not point.endswith("committed")]
        cases += [(kind, "crash in undo", point) for point in undo_points(flow)]
        cases += [
            (kind, "undo raises once", point)
            for point in undo_points(flow)
            if not point.endswith("committed")
        ]
        cases.append((kind, "every link twice", ""))
        if not flow.keeps_trying:
            cases += [(kind, "cancel", point) for point in points(flow)]
            cases.append((kind, "cancel", f"{kind}.accepted"))
    return cases
