from django.contrib import admin
from django.urls import reverse

from cdnsite.cache import purge
from shop.models import Product


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "price", "slug"]
    search_fields = ["name", "description"]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        purge(obj.get_absolute_url(), reverse("shop:list"))
