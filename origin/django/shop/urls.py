from django.urls import path

from shop import views

app_name = "shop"
urlpatterns = [
    path("", views.product_list, name="list"),
    path("search/", views.search, name="search"),
    path("gallery/", views.gallery, name="gallery"),
    path("gallery/<int:number>.svg", views.picture, name="picture"),
    path("<slug:slug>/", views.product_detail, name="detail"),
]
