"""Django's settings, composed from computecloud.config; a deployment sets environment variables, not this file."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from computecloud.config import CONFIG, ROOT
from computecloud.logging import configure as configure_logging

django_stubs_ext.monkeypatch()  # makes ModelAdmin and its like generic at run time, as their types are

if CONFIG.role and not CONFIG.secret_key:
    raise ImproperlyConfigured("set COMPUTECLOUD_SECRET_KEY to a long random text; bin/up makes one")
SECRET_KEY = CONFIG.secret_key or hashlib.sha256(f"insecure {CONFIG.state_dir}".encode()).hexdigest()
DEBUG = CONFIG.debug
ALLOWED_HOSTS = CONFIG.allowed_hosts.split(",")
ROOT_URLCONF = "computecloud.urls"
WSGI_APPLICATION = "computecloud.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "computecloud.pages.formats"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "identity.User"
DATA_UPLOAD_MAX_MEMORY_SIZE = 114_688  # Nova's limit of a request body; image data is streamed past it

INSTALLED_APPS = [
    # A worker has no pages: it need not import every room's admin.py, nor the theme.
    *(
        ["django.contrib.admin.apps.SimpleAdminConfig"]
        if CONFIG.role in ("control", "host", "metadata")
        else ["unfold.apps.BasicAppConfig", "computecloud.pages.apps.PagesConfig"]
    ),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "guardian",
    "identity",
    "workers",
    "quotas",
    "scheduling",
    "networking",
    "images",
    "instances",
]

MIDDLEWARE = [
    "computecloud.wire.middleware.RequestIdMiddleware",
    "computecloud.idempotency.IdempotencyMiddleware",
    "computecloud.browse.addresses.BrowserMiddleware",
    "computecloud.wire.middleware.OnlyForPages",  # sessions, CSRF, messages: for /admin and the browsable API alone
]

SILENCED_SYSTEM_CHECKS = [
    "admin.E408",  # OnlyForPages runs the three middlewares that the admin pages need
    "admin.E409",
    "admin.E410",
    "auth.W004",  # user names are unique in their domain; pages log in to the default domain
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [  # before the theme's own
            ROOT / "computecloud" / "pages" / "templates",
            ROOT / "computecloud" / "browse" / "templates",
        ],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%239810fa' d='M4 13a3 3 0 0 1-.4-6A4.5 4.5 0 0 1 12 6a3.5 3.5 0 0 1 .5 7z'/%3E%3C/svg%3E"
)
UNFOLD = {
    "SITE_TITLE": "ComputeCloud",
    "SITE_HEADER": "ComputeCloud",
    "SITE_SYMBOL": "cloud",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": ICON}
    ],  # or a browser asks for one in vain
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "navigation": "computecloud.pages.navigation.sections"},
}
STATIC_URL = "/static/"
STATICFILES_DIRS = [ROOT / "computecloud" / "browse" / "static"]
CSRF_FAILURE_VIEW = "computecloud.browse.account.forged"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(CONFIG.web_tls_certificate)
CSRF_TRUSTED_ORIGINS = (
    [urlsplit(CONFIG.public_url)._replace(path="", query="", fragment="").geturl()]
    if CONFIG.public_url
    else []
)
STATIC_ROOT = CONFIG.state / "static"


# A machine that loses its power says no farewell. Its open transaction, and all that it locks, would stay for the two
# hours that TCP waits, and a process whose PostgreSQL is dark would wait for a quarter of one: each end asks, and gives
# up after 15 s. A process that stands still in a transaction for longer than a lease has lost its lease as well.
_GIVE_UP_ON_THE_DARK = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 "
    f"-c tcp_user_timeout=15000 -c idle_in_transaction_session_timeout={CONFIG.lease_s * 1000:.0f}",
}


def _database() -> dict[str, Any]:
    if CONFIG.database_url:
        parsed = dj_database_url.parse(CONFIG.database_url)
        return {
            **parsed,
            "CONN_MAX_AGE": 0,  # the pool keeps the connections
            "DISABLE_SERVER_SIDE_CURSORS": True,  # behind PgBouncer each statement may have another session
            "OPTIONS": {
                **_GIVE_UP_ON_THE_DARK,
                **parsed.get("OPTIONS", {}),  # what the address says after `?`, e.g. sslmode
                # By itself a pool asks ever more rarely, for minutes: each caller has it ask again instead.
                "pool": {
                    "min_size": 1,
                    "max_size": CONFIG.database_pool_max,
                    "timeout": 10,
                    "reconnect_timeout": 5,
                },
            },
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(CONFIG.state / "computecloud.sqlite3"),
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": str(CONFIG.state / "test.sqlite3")},  # a file: threads share no in-memory database
        "OPTIONS": {
            # IMMEDIATE: a reader that turns writer would fail at once with "database is locked", whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA mmap_size=134217728;"
            "PRAGMA temp_store=MEMORY;",
        },
    }


DATABASES = {"default": _database()}

AUTHENTICATION_BACKENDS = [
    "identity.backends.PageBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
PASSWORD_HASHERS = ["identity.hashers.Argon2idHasher"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["identity.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["computecloud.wire.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["computecloud.wire.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "computecloud.wire.faults.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "POSTPROCESSING_HOOKS": []
}  # or it names components as no document may

LOGGING_CONFIG = None
configure_logging(CONFIG.log_level)
