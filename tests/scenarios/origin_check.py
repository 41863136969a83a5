"""The check that Django has since 4.0, which Debian's 3.2 lacks, as a middleware: the field Origin of a request that changes
something is compared with scheme and host of the site (CsrfViewMiddleware._origin_verified)."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpResponseForbidden
from django.utils.http import is_same_domain


class OriginCheck:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        origin = request.META.get("HTTP_ORIGIN")
        if origin is not None and request.method not in ("GET", "HEAD", "OPTIONS", "TRACE") and not verified(request, origin):
            return HttpResponseForbidden(f"Origin checking failed - {origin} does not match any trusted origins.")
        return self.get_response(request)


def verified(request, origin):
    try:
        good = f"{'https' if request.is_secure() else 'http'}://{request.get_host()}"
    except DisallowedHost:
        good = None
    asked = urlsplit(origin)
    wild = [urlsplit(trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS if "*" in trusted]
    return (origin in (good, *settings.CSRF_TRUSTED_ORIGINS)
            or any(asked.scheme == t.scheme and is_same_domain(asked.netloc, t.netloc.lstrip("*")) for t in wild))
