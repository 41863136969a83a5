from django.db import models
from django.urls import reverse


class Story(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    lead = models.CharField(max_length=300)
    body = models.TextField()
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-changed"]
        verbose_name_plural = "stories"

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("newsroom:story", args=[self.slug])

    @property
    def surrogate_key(self):
        return f"story-{self.pk}"
