from django.urls import path

from newsroom import views

app_name = "newsroom"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:slug>/", views.story, name="story"),
    path("<slug:slug>/edit/", views.edit, name="edit"),
]
