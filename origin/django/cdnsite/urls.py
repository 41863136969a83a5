"""The site's addresses."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from cdnsite.static import static_file
from desk.views import media_file

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="shop:list")),
    path("shop/", include("shop.urls")),
    path("news/", include("newsroom.urls")),
    path("desk/", include("desk.urls")),
    path("admin/", admin.site.urls),
    # asked for by the CDN on a miss; browsers ask the CDN when DJANGO_STATIC_HOST says so
    re_path(r"^static/(?P<path>.+)$", static_file),
    re_path(r"^media/(?P<path>.+)$", media_file),
]
