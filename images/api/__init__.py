"""The image API: Glance's v2, as far as clients use it."""
