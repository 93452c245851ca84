"""Which tests take turns: those that share a cloud."""

import pytest

from tests.lanes import REAL, lane_of


@pytest.mark.parametrize(
    ("test", "lane"),
    [
        ("tests/networking/test_wiring.py::test_a_port", "networking"),
        ("tests/cloud/test_kills.py::test_a_fake_host[1]", "cloud"),
        ("tests/cloud/test_kills.py::test_a_real_host[1]", REAL),
        ("tests/faults/real/test_kills.py::test_it[sqlite+redis-create.place]", "sqlite+redis"),
        ("tests/faults/real/test_broker.py::test_it[postgresql+rabbitmq]", "postgresql+rabbitmq"),
        ("tests/faults/real/test_kills.py::test_a_real_one[start]", "tests/faults/real/test_kills.py"),
        ("tests/faults/real/test_postgresql.py::test_it[create]", "tests/faults/real/test_postgresql.py"),
    ],
)
def test_tests_that_share_a_cloud_take_turns(test: str, lane: str) -> None:
    assert lane_of(test) == lane
