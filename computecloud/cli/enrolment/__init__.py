"""Setting up a hypervisor on another machine over SSH, and undoing it: what `host enroll` and `host remove` do.

Every part looks first and changes only what is not as it is to be, so that running it again converges.
"""
