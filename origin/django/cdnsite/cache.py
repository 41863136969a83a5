"""What an answer tells the CDN, and how the CDN is told to forget it."""

import functools
import logging
import urllib.error
import urllib.request

from django.conf import settings

log = logging.getLogger(__name__)
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the CDN is asked directly


def cached(cache_control, cdn_cache_control=None):
    """Decorates a view: Cache-Control for everybody, CDN-Cache-Control (RFC 9213) for the CDN alone.

    The view may put `response.surrogate_keys`: names by which the CDN can purge all pages that show a thing."""

    def decorate(view):
        @functools.wraps(view)
        def wrapped(request, *args, **kwargs):
            response = view(request, *args, **kwargs)
            if response.status_code == 200:
                response["Cache-Control"] = cache_control
                if cdn_cache_control:
                    response["CDN-Cache-Control"] = cdn_cache_control
                keys = getattr(response, "surrogate_keys", ())
                if keys:
                    response["Surrogate-Key"] = " ".join(keys)
            return response
        return wrapped
    return decorate


def purge(*paths):
    """Sends PURGE for each path to each address of CDN_PURGE_URLS; how many were taken. A CDN that is down must not
    keep an editor from saving: it is logged, and the pages' short lifetime does the rest."""
    taken = 0
    for base in settings.CDN_PURGE_URLS:
        for path in paths:
            request = urllib.request.Request(base.rstrip("/") + path, method="PURGE")
            if settings.CDN_PURGE_HOST:
                request.add_header("Host", settings.CDN_PURGE_HOST)
            if settings.CDN_PURGE_TOKEN:
                request.add_header("Authorization", f"Bearer {settings.CDN_PURGE_TOKEN}")
            try:
                with _opener.open(request, timeout=5):
                    taken += 1
            except (urllib.error.URLError, OSError) as error:
                log.warning("PURGE %s%s failed: %s", base, path, error)
    return taken


