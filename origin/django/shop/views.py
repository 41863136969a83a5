from django.core.cache import cache
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from cdnsite.cache import cached
from shop.models import Product

PICTURES = 37  # of the gallery
SEARCH_SECONDS = 10  # how long Django itself remembers a search


@require_safe
@cached("public, max-age=0, s-maxage=300, stale-while-revalidate=60")
def product_list(request):
    products = list(Product.objects.all())
    response = render(request, "shop/list.html", {"products": products})
    response.surrogate_keys = ["products", *(p.surrogate_key for p in products)]
    return response


@require_safe
@cached("public, max-age=60, s-maxage=3600, stale-if-error=86400")
def product_detail(request, slug):
    product = get_object_or_404(Product, slug=slug)
    response = render(request, "shop/detail.html", {"product": product})
    response.surrogate_keys = [product.surrogate_key]
    return response


@require_safe
@cached("public, max-age=0, s-maxage=30", cdn_cache_control="max-age=60, stale-while-revalidate=30")
def search(request):
    words = request.GET.get("q", "").strip()[:100]
    products = cache.get_or_set(f"search:{words.lower().encode().hex()}", lambda: find(words), SEARCH_SECONDS)
    response = render(request, "shop/search.html", {"words": words, "products": products})
    response.surrogate_keys = ["search", "products"]
    return response


@require_safe
@cached("public, max-age=60, s-maxage=3600")
def gallery(request):
    """A page of many files: with the site's own three there are 40, as an average page of the web has."""
    return render(request, "shop/gallery.html", {"numbers": range(1, PICTURES + 1)})


@require_safe
@cached("public, max-age=31536000, immutable")
def picture(request, number):
    """Circles: no two pictures are the same, none is another the next time; 2 to 35 kB."""
    if not 1 <= number <= PICTURES:
        raise Http404
    colour = f"hsl({number * 137 % 360} 50% 50%)"
    circles = "".join(f'<circle cx="{(i * 61 + number * 7) % 400}" cy="{(i * 97) % 300}" r="{3 + i % 9}" fill="{colour}" opacity="0.5"/>'
                      for i in range(25 + number * 29 % 390))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300" viewBox="0 0 400 300">{circles}</svg>'
    return HttpResponse(svg, content_type="image/svg+xml")


def find(words):
    if not words:
        return []
    found = Product.objects.all()
    for word in words.split():
        found = found.filter(Q(name__icontains=word) | Q(topics__icontains=word) | Q(description__icontains=word))
    return list(found)
