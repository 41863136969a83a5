from django.core.cache import cache
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.urls import reverse

from cdnsite.cache import purge_on_commit


class Product(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField()
    topics = models.CharField(max_length=200, blank=True, help_text="words, for the search")
    price_cents = models.PositiveIntegerField()
    image = models.CharField(max_length=200, help_text="name of a static file")

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("shop:detail", args=[self.slug])

    @property
    def price(self):
        return f"{self.price_cents / 100:.2f} €"

    @property
    def surrogate_key(self):
        return f"product-{self.pk}"


@receiver([post_save, post_delete], sender=Product)
def forget(instance, **_):
    """Whoever saves or deletes, the admin, a form or the shell: the CDN forgets the pages that show it, and all lists of them."""
    transaction.on_commit(cache.clear)  # before the CDN asks again: results of searches
    purge_on_commit([instance.surrogate_key, "products"], [instance.get_absolute_url(), reverse("shop:list")])
