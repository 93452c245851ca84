"""What changes flavors, key pairs and servers."""
