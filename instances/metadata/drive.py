"""A config drive's files, in OpenStack's tree: the service's documents, of the versions that guests look for there.

Each version is written again on the drive at each boot, so those that no guest prefers are left out.
"""

import orjson

from instances.metadata import ec2, openstack
from instances.metadata.facts import Told

VERSIONS = ("2018-08-27", openstack.LATEST)
EC2_VERSIONS = ("2009-04-04", ec2.LATEST)


def files(told: Told) -> dict[str, bytes]:
    """Return path in the drive to content."""
    tree: dict[str, bytes] = {}
    for version in VERSIONS:
        number = openstack.numbered(version) or version
        for name in openstack.names(told, number):
            if name != openstack.PASSWORD:
                tree[f"openstack/{version}/{name}"] = openstack.document(told, number, name)[0]
    for version in EC2_VERSIONS:
        number = ec2.numbered(version) or version
        tree[f"ec2/{version}/meta-data.json"] = orjson.dumps(ec2.meta_data(told, number))
        if told.user_data is not None:
            tree[f"ec2/{version}/user-data"] = told.user_data
    return tree
