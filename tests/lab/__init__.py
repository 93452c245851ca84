"""Several hypervisors on one machine: each a set of namespaces with a file system, an sshd and libvirt of its own."""
