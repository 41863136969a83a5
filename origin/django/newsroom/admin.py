from django.contrib import admin

from newsroom.models import Story


@admin.register(Story)
class StoryAdmin(admin.ModelAdmin):
    list_display = ["title", "changed"]
    search_fields = ["title", "body"]
