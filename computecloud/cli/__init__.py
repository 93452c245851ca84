"""The computecloud command: starts, watches, checks and ends an installation on this machine."""
