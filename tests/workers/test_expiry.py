"""What has expired is removed, and nothing else."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from workers import expiry
from workers.models import utc_now

pytestmark = pytest.mark.django_db


def test_sessions_go_when_they_have_expired_and_not_before():
    now = utc_now()
    for key, off_s in (("old", -60), ("live", 60)):
        Session.objects.create(session_key=key, session_data="", expire_date=now + timedelta(seconds=off_s))
    assert list(expiry.look("")) == ["removed 1 sessions"]
    assert Session.objects.get().session_key == "live"
