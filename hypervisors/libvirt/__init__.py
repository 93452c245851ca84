"""The libvirt driver: KVM where a probe proves it, else QEMU's own emulation (TCG)."""
