"""RabbitMQ over TLS, by its address alone: its certificate is checked."""

import json
import subprocess
import sys

import pytest

from tests.cloud import rabbitmq

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

_ASK = """
import json, sys
from computecloud.celery import app
from kombu.exceptions import OperationalError
from workers import queues
import django
django.setup()
try:
    app.send_task("workers.sweep")
    print(json.dumps(queues.look("control").messages))
except OperationalError as error:
    print(json.dumps(str(error)))
"""


def asked(url: str) -> object:
    """Return what a process of ours says after it has published one message at this address."""
    environment = {"COMPUTECLOUD_BROKER_URL": url, "DJANGO_SETTINGS_MODULE": "computecloud.settings"}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_messages_go_over_tls_and_a_certificate_of_nobody_known_is_refused() -> None:
    with rabbitmq.running(tls_port=rabbitmq.free_port()) as broker:
        url = f"amqps://guest:guest@localhost:{broker.tls_port}//"
        assert asked(f"{url}?ssl_ca_certs={broker.certificate}") == 1
        assert "certificate verify failed" in str(asked(url))
        assert asked(f"{url}?ssl_ca_certs={broker.certificate}") == 2
