"""What Django has to be told about the CDN in front of it: each row of the table in docs/django.md, and what happens without.

An edge asks a server that writes down what it gets; Django's own request, with the settings of a row, is made of that."""

import io

import pytest
from cdn import Reply

django = pytest.importorskip("django")
from django.conf import settings  # noqa: E402

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=[])
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.test import override_settings  # noqa: E402
from origin_check import verified  # noqa: E402

HOST = {"USE_X_FORWARDED_HOST": True}
HTTPS = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}
ALLOW = {"ALLOWED_HOSTS": ["www.cdn.test"]}
LOCAL = {"ALLOWED_HOSTS": ["127.0.0.1"]}  # as with DEBUG
NAME, EDGE = "www.cdn.test:8088", "127.0.0.1:8088"


@pytest.fixture(scope="module")
def world(shared_cdn):
    origin = shared_cdn.fake_origin()
    origin.default = Reply(200, b"")
    return origin, shared_cdn.edge(origin, threads=1, trusted_proxies="127.0.0.1", url=f"http://{EDGE}")


def as_django_sees(request):
    environ = {"REQUEST_METHOD": request.method, "PATH_INFO": request.path, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
               "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(request.body)}
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers}
    return WSGIRequest(environ)


@pytest.mark.parametrize("scheme, host, told, ok", [
    # the router as proxy, and one host
    ("http", EDGE, LOCAL | HOST, True),
    ("http", EDGE, LOCAL, False),
    ("http", EDGE, LOCAL | HOST | HTTPS, True),
    ("https", EDGE, LOCAL | HOST | HTTPS, True),
    ("https", EDGE, LOCAL | HOST, False),
    ("https", EDGE, LOCAL | HTTPS, False),
    # by DNS
    ("http", NAME, ALLOW | HOST, True),
    ("http", "www.cdn.test", ALLOW | HOST, True),
    ("http", NAME, ALLOW, False),
    ("http", NAME, LOCAL | HOST, False),
    ("https", NAME, ALLOW | HOST | HTTPS, True),
    ("https", NAME, ALLOW | HOST, False),
    # naming the origin instead does as well, and is needed for pages of another name
    ("http", NAME, ALLOW | {"CSRF_TRUSTED_ORIGINS": [f"http://{NAME}"]}, True),
    ("http", NAME, ALLOW | {"CSRF_TRUSTED_ORIGINS": [f"https://{NAME}"]}, False),
    ("https", NAME, ALLOW | {"CSRF_TRUSTED_ORIGINS": ["https://*.cdn.test:8088"]}, True),
])
def test_forms_are_taken_with_these_settings_and_refused_without(world, scheme, host, told, ok):
    origin, edge = world
    fields = [("Origin", f"{scheme}://{host}")]
    if scheme == "https":  # a router that speaks TLS says so
        fields.append(("X-Forwarded-Proto", "https"))
    assert edge.request("POST", "/form", fields, b"x=1", host=host).status == 200
    request = as_django_sees(origin.last("/form"))
    with override_settings(**told):
        assert verified(request, f"{scheme}://{host}") is ok
        if ok and "USE_X_FORWARDED_HOST" in told:
            assert request.build_absolute_uri("/a") == f"{scheme}://{host}/a"
