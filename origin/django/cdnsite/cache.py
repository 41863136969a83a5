"""What an answer tells the CDN, and how the CDN is told to forget it."""

import functools
import json
import logging
import urllib.error
import urllib.request

from django.conf import settings
from django.db import transaction

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


def purge_on_commit(keys, paths):
    """Purges once the change can be read: before that a cache would fetch the old page again."""
    transaction.on_commit(lambda: purge(keys, paths))


def purge(keys, paths):
    """Tells the CDN to forget: by surrogate keys at the router, which reaches every edge (CDN_ROUTER), or by PURGE of each
    path at each address of CDN_PURGE_URLS. How many requests were taken. A CDN that is down must not keep an editor from
    saving: it is logged, and the pages' short lifetime does the rest."""
    taken = 0
    if settings.CDN_ROUTER and keys:
        body = json.dumps({"tags": list(keys)}).encode()
        request = urllib.request.Request(settings.CDN_ROUTER.rstrip("/") + "/purge", body, {"Content-Type": "application/json"})
        taken += _send(request)
    for base in settings.CDN_PURGE_URLS:
        for path in paths:
            request = urllib.request.Request(base.rstrip("/") + path, method="PURGE")
            if settings.CDN_PURGE_HOST:
                request.add_header("Host", settings.CDN_PURGE_HOST)
            taken += _send(request)
    return taken


def _send(request):
    if settings.CDN_PURGE_TOKEN:
        request.add_header("Authorization", f"Bearer {settings.CDN_PURGE_TOKEN}")
    try:
        with _opener.open(request, timeout=5):
            return True
    except (urllib.error.URLError, OSError) as error:
        log.warning("%s %s failed: %s", request.get_method(), request.full_url, error)
        return False
