from django.contrib.auth.decorators import permission_required
from django.forms import modelform_factory
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cdnsite.cache import cached
from newsroom.models import Story

# breaking news: fresh for seconds, then the old page at once and the new one for the next reader; on failure better old than none
NEWS = "public, max-age=0, s-maxage=5, stale-while-revalidate=60, stale-if-error=86400"
StoryForm = modelform_factory(Story, fields=["title", "lead", "body"])


@require_safe
@cached(NEWS)
def index(request):
    stories = list(Story.objects.all())
    response = render(request, "newsroom/index.html", {"stories": stories})
    response.surrogate_keys = ["news", "headlines", *(s.surrogate_key for s in stories)]
    return response


@require_safe
@cached(NEWS)
def story(request, slug):
    found = get_object_or_404(Story, slug=slug)
    response = render(request, "newsroom/story.html", {"story": found})
    response.surrogate_keys = ["news", found.surrogate_key]
    return response


@never_cache
@permission_required("newsroom.change_story", login_url="/admin/login/")
def edit(request, slug):
    found = get_object_or_404(Story, slug=slug)
    form = StoryForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        form.save()  # and the CDN forgets the old one: see newsroom/models.py
        return redirect(found)
    return render(request, "newsroom/edit.html", {"form": form, "story": found})
