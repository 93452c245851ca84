"""The page of the fault matrix: made of what the tests recorded, and complete for the registry."""

from pathlib import Path

import msgspec
import pytest

from tests.faults import record, report
from tests.faults.record import Row
from workers import workflow


def test_the_committed_page_has_every_registered_workflow_with_each_of_its_steps():
    sections = report.PAGE.read_text().split("\n### ")
    for kind, flow in workflow.registered().items():
        if not kind.startswith("toy"):
            of_kind = "".join(section for section in sections if section.split("\n")[0].startswith(kind))
            missing = [step.name for step in flow.steps if f"\n| {step.name} |" not in of_kind]
            assert missing == [], f"{kind}: run bin/test faults, and commit the page that it writes"


def test_a_row_recorded_twice_counts_once_and_what_stands_around_the_matrix_stays(tmp_path: Path):
    rows = [Row("libvirt", "stop", "ask", "crash", outcome, 2.5) for outcome in ("undone", "succeeded")]
    kept, page = tmp_path / "rows", tmp_path / "page.md"
    kept.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.main([str(kept), str(page)])
    written = page.read_text()
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "| ask | crash |  |  |  | succeeded, 2.5 s |" in written
    assert "| libvirt | 1 | 1 | 2.5 s | 2.5 s |" in written
    assert "old" not in written
    assert "undone" not in written


def test_a_fault_that_did_not_fire_or_took_too_long_has_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = tmp_path / "rows"
    monkeypatch.setenv("FAULTS_RECORD", str(kept))
    with pytest.raises(AssertionError, match="did not fire"):
        record.note(Row("libvirt", "stop", "ask", "crash", "succeeded"), fired=False)
    with pytest.raises(AssertionError, match="may take 15 s"):
        record.note(Row("libvirt", "stop", "ask", "SIGKILL of the worker", "succeeded", 16.0), fired=True)
    assert not kept.exists()
    record.note(Row("libvirt", "stop", "ask", "SIGKILL of the worker", "succeeded", 14.0), fired=True)
    assert len(report.read(kept)) == 1
