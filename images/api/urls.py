"""The image API's routes, below /image/v2."""

from django.urls import path, re_path

from images.api.data import DataView
from images.api.views import (
    ActionView,
    ImagesView,
    ImageView,
    MembersView,
    MemberView,
    SchemaView,
    TagView,
)

urlpatterns = [
    path("images", ImagesView.as_view()),
    path("images/<str:image_id>", ImageView.as_view()),
    path("images/<str:image_id>/file", DataView.as_view()),
    re_path(r"^images/(?P<image_id>[^/]+)/actions/(?P<action>deactivate|reactivate)$", ActionView.as_view()),
    path("images/<str:image_id>/tags/<str:tag>", TagView.as_view()),
    path("images/<str:image_id>/members", MembersView.as_view()),
    path("images/<str:image_id>/members/<str:project_id>", MemberView.as_view()),
    path("schemas/<str:name>", SchemaView.as_view()),
]
