"""The Network API: Neutron v2.0, as far as clients and servers of this cloud use it."""
