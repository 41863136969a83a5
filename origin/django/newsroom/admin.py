from django.contrib import admin
from django.urls import reverse

from cdnsite.cache import purge
from newsroom.models import Story


@admin.register(Story)
class StoryAdmin(admin.ModelAdmin):
    list_display = ["title", "changed"]
    search_fields = ["title", "body"]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        purge(obj.get_absolute_url(), reverse("newsroom:index"))
