"""Settings as in production: no debug pages, hashed static files, everything that differs by machine from the environment.

    DJANGO_STATIC_HOST     where browsers get static files, e.g. http://127.0.0.1:8080 (the CDN); empty: from Django itself
    DJANGO_ALLOWED_HOSTS   comma-separated host names this site answers to
    DJANGO_BEHIND_CDN      yes: name and scheme are what the CDN says that browsers use. Only where nobody else gets here
    DJANGO_STATE           folder of the database, the collected static files and the secret key; default: `state` beside
                           manage.py, or ~/.local/state/pocketcdn/django for an installed site
    DJANGO_SECRET_KEY      otherwise made once and kept in the state folder
    CDN_ROUTER             admin address of the router, e.g. http://127.0.0.1:9080: a save purges by Surrogate-Key, everywhere
    CDN_PURGE_URLS         without a router: comma-separated addresses that take PURGE of a path, e.g. http://127.0.1.1:8088
    CDN_PURGE_TOKEN        bearer token sent with either
    CDN_PURGE_HOST         Host sent with PURGE: the name under which browsers ask the CDN; empty: that of the address
"""

import os
import pathlib
import secrets

BASE_DIR = pathlib.Path(__file__).resolve().parent.parent


def _state_dir():
    """Beside the site; for an installed one, which belongs to the system, in the user's own state folder."""
    installed = BASE_DIR.parts[-3:-1] == ("share", "pocketcdn") or not os.access(BASE_DIR, os.W_OK)
    home = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state")
    return home / "pocketcdn" / "django" if installed else BASE_DIR / "state"


STATE_DIR = pathlib.Path(os.environ.get("DJANGO_STATE") or _state_dir())
STATE_DIR.mkdir(parents=True, exist_ok=True)


def _list(name, default=""):
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def _secret_key():
    path = STATE_DIR / "secret_key"
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or _secret_key()
DEBUG = False
ALLOWED_HOSTS = _list("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
if os.environ.get("DJANGO_BEHIND_CDN") == "yes":  # docs/django.md
    USE_X_FORWARDED_HOST = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "cdnsite",
    "shop",
    "newsroom",
    "desk",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "cdnsite.middleware.DatabaseTiming",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "cdnsite.urls"
WSGI_APPLICATION = "cdnsite.wsgi.application"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [BASE_DIR / "templates"],
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]

DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": STATE_DIR / "db.sqlite3",
    "OPTIONS": {"timeout": 20},
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

STATIC_HOST = os.environ.get("DJANGO_STATIC_HOST", "")
STATIC_URL = STATIC_HOST + "/static/"
STATIC_ROOT = STATE_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = STATE_DIR / "media"
STATICFILES_STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"

CDN_ROUTER = os.environ.get("CDN_ROUTER", "")
CDN_PURGE_URLS = _list("CDN_PURGE_URLS")
CDN_PURGE_TOKEN = os.environ.get("CDN_PURGE_TOKEN", "")
CDN_PURGE_HOST = os.environ.get("CDN_PURGE_HOST", "")

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
