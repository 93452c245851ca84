"""What the command line says: steps, waits, failures, and doctor's findings."""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from computecloud.cli.app import COMMANDS, computecloud
from computecloud.cli.doctor import examine
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
        assert result.exit_code == 1
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


def test_doctor_names_what_is_broken_and_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken()
    monkeypatch.setattr(invariants, "_checks", {"tea is hot": broken.check, "water is wet": list})
    out = io.StringIO()
    console = Console(file=out, soft_wrap=True)
    assert not examine(console, fix=False)
    assert "✗ tea is hot" in out.getvalue()
    assert "the tea is cold" in out.getvalue()
    assert "do this: computecloud doctor --fix" in out.getvalue()
    assert "✓ water is wet" in out.getvalue()
    assert examine(console, fix=True)
    assert broken.fixed
    assert examine(console, fix=False)
