"""The desk of somebody signed in: pictures are uploaded, a script asks with the session's cookie, and sends notes."""

import json
import pathlib

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.core.validators import FileExtensionValidator
from django.http import Http404, HttpResponseBadRequest, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.static import serve

PICTURES = ["gif", "jpeg", "jpg", "png", "webp"]  # what a browser never runs
signed_in = login_required(login_url="/admin/login/")


class UploadForm(forms.Form):
    picture = forms.FileField(validators=[FileExtensionValidator(PICTURES)])


@never_cache
@signed_in
def desk(request):
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        picture = form.cleaned_data["picture"]
        name = get_random_string(12) + pathlib.Path(picture.name).suffix.lower()
        default_storage.save(name, picture)
        return redirect(request.path + "?uploaded=" + name)
    uploaded = request.GET.get("uploaded", "")
    return render(request, "desk/desk.html", {
        "form": form, "uploaded": default_storage.url(uploaded) if default_storage.exists(uploaded or "-") else ""})


@never_cache
@require_safe
def me(request):
    """For a script: who is signed in here."""
    return JsonResponse({"user": request.user.get_username(), "scheme": request.scheme, "host": request.get_host()})


@never_cache
@signed_in
@require_POST
def note(request):
    """From a script, with the token as X-CSRFToken."""
    try:
        request.session["note"] = str(json.loads(request.body)["note"])[:200]
    except (ValueError, KeyError, TypeError):
        return HttpResponseBadRequest("no note")
    return JsonResponse({"note": request.session["note"]})


@require_safe
def media_file(request, path):
    """What was uploaded: names are random and never used again, so for ever."""
    if pathlib.Path(path).suffix.lstrip(".") not in PICTURES:
        raise Http404
    response = serve(request, path, document_root=settings.MEDIA_ROOT)
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
