"""What the command line says: steps, waits, failures, and doctor's findings."""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from computecloud.cli.app import COMMANDS, computecloud
from computecloud.cli.doctor import BROKEN, HOLDS, UNKNOWN, as_document, examine, show
from computecloud.cli.failures import Failure, end_of
from computecloud.cli.progress import Progress
from workers import invariants
from workers.invariants import Violation


def told() -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(Console(file=out, soft_wrap=True)), out


def test_a_step_ends_with_its_time_and_its_note() -> None:
    progress, out = told()
    with progress.step("Make tea") as step:
        step.note = "green"
    assert "✓ Make tea" in out.getvalue()
    assert "0.0 s  green" in out.getvalue()


def test_a_wait_that_takes_too_long_fails_as_it_was_told_to() -> None:
    progress, out = told()
    with pytest.raises(Failure, match="no tea"), progress.step("Make tea") as step:
        step.wait(
            lambda: False, seconds=0.1, what="water", otherwise=lambda: Failure("no tea", advice="coffee")
        )
    assert "✓" not in out.getvalue()


def test_a_long_wait_without_a_terminal_says_now_and_then_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("computecloud.cli.progress.QUIET_S", 0.1)
    progress, out = told()
    polls = iter([False] * 7 + [True])
    with progress.step("Make tea") as step:
        step.wait(lambda: next(polls), seconds=9, what="water", otherwise=lambda: Failure("no", advice="no"))
    assert 2 <= out.getvalue().count("… Make tea: water") <= 4


def test_a_failure_shows_cause_log_and_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(20)))
    Failure("it broke", log=log, advice="mend it").show()
    text = capsys.readouterr().err
    assert text.splitlines()[0] == "failed:  it broke"
    assert "line 19" in text
    assert "line 13" not in text
    assert text.splitlines()[-1] == "do this: mend it"


def test_a_log_of_json_is_shown_for_people(tmp_path: Path) -> None:
    log = tmp_path / "log"
    entry = {
        "host": "a",
        "event": "step.failed",
        "error": "no disk",
        "timestamp": "now",
        "exception": "a\nOSError",
    }
    log.write_text(json.dumps(entry) + '\n[1]\n"x"\n')
    assert end_of(log) == ["now  step.failed  no disk  OSError  host=a", "[1]", '"x"']
    assert end_of(tmp_path / "none") == []


def test_every_command_can_be_asked_for_help() -> None:
    runner = CliRunner()
    listing = runner.invoke(computecloud, ["--help"])
    for name in COMMANDS:
        assert name in listing.output
        assert runner.invoke(computecloud, [name, "--help"]).exit_code == 0
    assert runner.invoke(computecloud, ["nonsense"]).exit_code == 2


def test_a_command_without_a_cloud_fails_with_advice(tmp_path: Path) -> None:
    for words in (["status"], ["doctor"], ["timeline"], ["down", "--purge"]):
        result = CliRunner().invoke(computecloud, [*words, "--state-dir", str(tmp_path)])
        assert result.exit_code == (2 if words == ["doctor"] else 1)
        assert "do this:" in result.output


def test_purge_removes_no_folder_that_is_not_a_clouds(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    result = CliRunner().invoke(computecloud, ["down", "--purge", "--state-dir", str(tmp_path)])
    assert "is not the state of a cloud" in result.output
    assert (tmp_path / "precious").exists()


class Broken:
    """An invariant that is broken until it is fixed."""

    def __init__(self) -> None:
        self.fixed = False

    def check(self) -> Iterable[Violation]:
        return [] if self.fixed else [Violation("the tea is cold", fix=self.fix)]

    def fix(self) -> None:
        self.fixed = True


def diagnosed(*, fix: bool = False) -> tuple[str, list[int]]:
    """Return what doctor prints, and the status of each invariant."""
    out, findings = io.StringIO(), examine(fix=fix, pause=lambda _s: None)
    show(Console(file=out, soft_wrap=True), findings)
    return out.getvalue(), [finding.status for finding in findings]


def test_doctor_names_what_is_broken_and_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken()
    monkeypatch.setattr(invariants, "_checks", {"tea is hot": broken.check, "water is wet": list})
    said, statuses = diagnosed()
    assert statuses == [BROKEN, HOLDS]
    assert "✗ tea is hot" in said
    assert "the tea is cold" in said
    assert "do this: computecloud doctor --fix" in said
    assert "✓ water is wet" in said
    said, statuses = diagnosed(fix=True)
    assert broken.fixed
    assert ("mended" in said, statuses) == (True, [HOLDS, HOLDS])
    assert diagnosed()[1] == [HOLDS, HOLDS]


def test_doctor_does_not_believe_that_mending_has_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "_checks", {"tea": lambda: [Violation("cold", fix=lambda: None)]})
    said, statuses = diagnosed(fix=True)
    assert (statuses, "mended" in said) == ([BROKEN], False)


def test_what_cannot_be_checked_or_mended_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Iterable[Violation]:
        raise ConnectionError("no kettle")

    checks = {"a": fail, "b": lambda: [Violation("cold", "heat it")], "c": lambda: [Violation("x", fix=fail)]}
    monkeypatch.setattr(invariants, "_checks", checks)
    said, statuses = diagnosed(fix=True)
    assert statuses == [UNKNOWN, BROKEN, UNKNOWN]
    assert "could not be checked: ConnectionError: no kettle" in said
    assert "do this: heat it" in said


@pytest.mark.parametrize("fix", [False, True])
def test_what_is_gone_at_a_second_look_was_work_under_way(
    monkeypatch: pytest.MonkeyPatch, *, fix: bool
) -> None:
    looks = iter([["server a has no guest"], ["server b has no guest"], ["server b has no guest"]])
    checks = {"guests": lambda: [Violation(what, fix=pytest.fail) for what in next(looks)]}
    monkeypatch.setattr(invariants, "_checks", checks)
    assert diagnosed(fix=fix)[1] == [HOLDS]


def test_what_mending_has_brought_about_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ["a lock is held by nobody"]

    def mend() -> None:
        broken[:] = ["a server has no lock"]

    checks = {"locks": lambda: [Violation(what, fix=mend) for what in broken]}
    monkeypatch.setattr(invariants, "_checks", checks)
    said, statuses = diagnosed(fix=True)
    assert ("a server has no lock" in said, statuses) == (True, [BROKEN])


def test_what_is_broken_with_other_numbers_at_a_second_look_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = iter(range(3, 10))
    monkeypatch.setattr(
        invariants, "_checks", {"queue": lambda: [Violation(f"{next(counts)} wait", "read it")]}
    )
    said, statuses = diagnosed()
    assert ("4 wait" in said, statuses) == (True, [BROKEN])


def test_doctor_speaks_json(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken()
    monkeypatch.setattr(invariants, "_checks", {"tea is hot": broken.check})
    document = as_document(examine(fix=False, pause=lambda _s: None))
    assert document["status"] == "broken"
    assert document["invariants"][0]["violations"] == [
        {"what": "the tea is cold", "mend": "computecloud doctor --fix"}
    ]
    mended = as_document(examine(fix=True, pause=lambda _s: None))
    assert (mended["status"], mended["invariants"][0]["mended"]) == ("holds", ["the tea is cold"])
