from django.core.cache import cache
from django.db.models import Q
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from cdnsite.cache import cached
from shop.models import Product

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


def find(words):
    if not words:
        return []
    found = Product.objects.all()
    for word in words.split():
        found = found.filter(Q(name__icontains=word) | Q(topics__icontains=word) | Q(description__icontains=word))
    return list(found)
