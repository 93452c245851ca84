"""The OpenAPI document of the Compute API, made from the views, serializers and declared changes themselves."""
