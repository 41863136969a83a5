"""Settings of the site of origin/django, with the check of Origin that later versions have."""

from cdnsite import settings as site
from cdnsite.settings import *  # noqa: F403

MIDDLEWARE = ["origin_check.OriginCheck", *site.MIDDLEWARE]
