"""Doctor on a cloud of real processes: it names a leftover of every kind, and mends what it can."""

import pytest

from tests.cloud import leftovers
from tests.cloud.cloud import Cloud, until
from tests.cloud.planting import Planter

pytestmark = pytest.mark.cloud

KINDS = (
    "domain", "disk_folder", "cached_image", "link", "namespace", "rule", "dnsmasq", "message",
    "port", "allocation", "charge", "lease", "footprint", "inquiry",
    "half_fetched_image", "lock", "secret", "sharers", "archived_twin", "idempotency_key",
)  # fmt: skip


def test_doctor_finds_nothing_wrong_with_a_real_cloud_that_runs(real_cloud: Cloud) -> None:
    finds_nothing(real_cloud)


def test_doctor_finds_nothing_wrong_with_a_fake_cloud_that_runs(fake_cloud: Cloud) -> None:
    finds_nothing(fake_cloud)


def finds_nothing(cloud: Cloud) -> None:
    doctor = cloud.doctor()
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "✗" not in doctor.stdout


def test_doctor_names_a_leftover_of_every_kind_in_a_real_cloud_and_removes_what_it_can(
    real_cloud: Cloud,
) -> None:
    before = leftovers.snapshot(real_cloud.state)
    planter = Planter(real_cloud)
    real_cloud.stop("beat")  # the audits that it rings for would mend some of it first
    try:
        planted = {kind: getattr(planter, kind)() for kind in KINDS}
        assert leftovers.compare(before, leftovers.snapshot(real_cloud.state)) != []
        found = real_cloud.doctor()
        assert found.returncode == 1, found.stderr
        assert {kind for kind, words in planted.items() if words not in found.stdout} == set()
        mended = real_cloud.doctor("--fix")
        assert mended.returncode == 1, "the footprint is for its host's worker to follow"
        assert mended.stdout.count("do this:") == 1
        again = real_cloud.doctor()
        assert {kind for kind, words in planted.items() if words in again.stdout} == {"footprint"}
    finally:
        real_cloud.start("beat")
    killed = real_cloud.kill(real_cloud.worker)
    real_cloud.await_back(real_cloud.worker, killed)
    until(lambda: real_cloud.doctor().returncode == 0, 30, "the host's worker to clean up")
    assert real_cloud.settled(before) == []
