"""Collected static files, for the CDN to fetch: hashed names for ever, others for a minute, open to all origins (fonts)."""

import re

from django.conf import settings
from django.views.decorators.http import require_safe
from django.views.static import serve

HASHED = re.compile(r"^.+\.[0-9a-f]{12}\..+$")


@require_safe
def static_file(request, path):
    response = serve(request, path, document_root=settings.STATIC_ROOT)
    lifetime = "31536000, immutable" if HASHED.match(path) else "60"
    response["Cache-Control"] = f"public, max-age={lifetime}"
    response["Access-Control-Allow-Origin"] = "*"
    return response
