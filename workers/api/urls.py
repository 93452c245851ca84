"""The routes below /operations/."""

from django.urls import path

from workers.api import views

urlpatterns = [
    path("", views.OperationsView.as_view()),
    path("<str:operation_id>", views.OperationView.as_view()),
    path("<str:operation_id>/cancel", views.CancelView.as_view()),
]
