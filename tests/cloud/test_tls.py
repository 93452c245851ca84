"""API and database over TLS by settings alone, with a throw-away authority; strangers' certificates are refused."""

import json
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
import redis

from tests.cloud import certificates
from tests.cloud import conftest as clouds
from tests.cloud.cloud import Cloud, until
from tests.cloud.postgresql import Cluster
from tests.cloud.rabbitmq import free_port

pytestmark = pytest.mark.cloud

_ASK_DATABASE = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    print(*cursor.fetchone())
"""
_ASK_BROKER = """
import django
django.setup()
from computecloud.celery import app
from workers import queues
app.send_task("workers.sweep")
print(queues.look("control").messages)
"""


def said(program: str, **settings: str) -> str:
    """Return what a process with these settings prints, or its last error."""
    environment = {f"COMPUTECLOUD_{name}": value for name, value in settings.items()}
    environment["DJANGO_SETTINGS_MODULE"] = "computecloud.settings"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return an authority, and a server's certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    return certificates.make(folder, "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def cloud(files: tuple[Path, Path, Path]) -> Iterator[Cloud]:
    """Return a fake cloud whose API is served over TLS."""
    authority, certificate, key = files
    settings = {"WEB_TLS_CERTIFICATE": certificate, "WEB_TLS_KEY": key, "WEB_TLS_AUTHORITY": authority}
    made = Cloud(
        clouds._folder("tls"), "fake", free_port(), "fake-1", {k: str(v) for k, v in settings.items()}
    )
    yield from clouds._running(made)


def test_the_api_is_served_over_tls_and_clients_check_it(
    cloud: Cloud, files: tuple[Path, Path, Path]
) -> None:
    listed = json.loads((cloud.state / "clouds.yaml").read_text())["clouds"]["computecloud"]
    assert listed["auth"]["auth_url"].startswith("https://") and listed["cacert"] == str(files[0])
    assert [one["Name"] for one in cloud.openstack("server", "list")] == ["hello"]
    catalog = cloud.openstack("catalog", "list")
    assert "http://" not in json.dumps(catalog), "links say https"
    url = f"https://127.0.0.1:{cloud.port}/healthz"
    trusting = ssl.create_default_context(cafile=str(files[0]))
    assert urllib.request.urlopen(url, context=trusting).status == 200
    with pytest.raises(OSError, match="certificate verify failed"):
        urllib.request.urlopen(url)
    with pytest.raises((OSError, HTTPException)):
        urllib.request.urlopen(url.replace("https", "http"))
    trusting.minimum_version = trusting.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        urllib.request.urlopen(url, context=trusting)


def test_the_database_is_spoken_to_over_tls_and_a_stranger_is_refused(tmp_path: Path) -> None:
    authority, certificate, key = certificates.make(tmp_path, "localhost")
    port = free_port()
    database = Cluster.make("listen_addresses=127.0.0.1", f"port={port}")
    try:
        for file, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copy(file, database.folder / "data" / name)
            shutil.chown(database.folder / "data" / name, "postgres")
            (database.folder / "data" / name).chmod(0o600)
        database.stop()
        secured = Cluster(database.folder, (*database.listen, "ssl=on"))
        secured.start()
        url = f"postgresql://test@localhost:{port}/postgres"
        assert "TLSv1" in said(
            _ASK_DATABASE, DATABASE_URL=f"{url}?sslmode=verify-full&sslrootcert={authority}"
        )
        assert "TLSv1" in said(_ASK_DATABASE, DATABASE_URL=f"{url}?sslmode=require")
        (tmp_path / "strange").mkdir()
        stranger, _, _ = certificates.make(tmp_path / "strange", "localhost")
        refused = said(_ASK_DATABASE, DATABASE_URL=f"{url}?sslmode=verify-full&sslrootcert={stranger}")
        assert "couldn't get a connection" in refused or "certificate verify failed" in refused
    finally:
        database.remove()


def test_redis_is_spoken_to_over_tls_and_a_stranger_is_refused(tmp_path: Path) -> None:
    authority, certificate, key = certificates.make(tmp_path, "localhost", "127.0.0.1")
    port = free_port()
    words = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", str(certificate), "--save", ""]
    words += ["--tls-key-file", str(key), "--tls-auth-clients", "no", "--dir", str(tmp_path)]
    words += ["--tls-ca-cert-file", str(authority)]
    process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, ssl=True, ssl_ca_certs=str(authority))

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        until(answers, 20, "Redis to answer")
        url = f"rediss://localhost:{port}/0?ssl_cert_reqs=required"
        assert said(_ASK_BROKER, BROKER_URL=f"{url}&ssl_ca_certs={authority}") == "1"
        assert "certificate verify failed" in said(_ASK_BROKER, BROKER_URL=url)
    finally:
        process.kill()
        process.wait()
