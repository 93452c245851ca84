"""What a monitor asks the web server for: its health, whether it is ready, and the metrics."""
