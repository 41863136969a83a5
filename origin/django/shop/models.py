from django.db import models
from django.urls import reverse


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
