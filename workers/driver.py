"""The hypervisor driver of this process, made once from the settings."""

from functools import cache

from computecloud.config import CONFIG
from hypervisors import registry
from hypervisors.driver import Driver


@cache
def driver() -> Driver:
    """Return this process's driver."""
    return registry.load(
        CONFIG.driver,
        registry.Options(
            state_dir=CONFIG.state,
            host_name=CONFIG.host,
            libvirt_uri=CONFIG.libvirt_uri,
            virt_type=CONFIG.virt_type,
            timeout_s=CONFIG.libvirt_timeout_s,
            fake_nodes=CONFIG.fake_nodes,
            fake_node_vcpus=CONFIG.fake_node_vcpus,
            fake_node_memory_mib=CONFIG.fake_node_memory_mib,
            fake_node_disk_gib=CONFIG.fake_node_disk_gib,
            fake_delay_s=CONFIG.fake_delay_s,
            fake_image_files=CONFIG.fake_image_files,
            gate_dir=CONFIG.gate_dir,
        ),
    )
