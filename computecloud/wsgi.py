"""The web server's entry."""

import os

from computecloud import lean

lean.keep_out()

from django.core.wsgi import get_wsgi_application  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")
application = get_wsgi_application()
