from django.db import models
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.urls import reverse

from cdnsite.cache import purge_on_commit


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


@receiver([post_save, post_delete], sender=Story)
def forget(instance, **_):
    """Whoever saves or deletes, the admin, a form or the shell: the CDN forgets the pages that show it, and the page of headlines."""
    purge_on_commit([instance.surrogate_key, "headlines"], [instance.get_absolute_url(), reverse("newsroom:index")])
