# Where the guest learns who it is: a config drive, else the metadata service. Both leave the same files in /run/config
# and their names in $datasource; meta.flat holds meta_data.json as lines of path, tab, value.

flatten() { [ ! -f "/run/config/$1.json" ] || awk -f $guest/json.awk "/run/config/$1.json" >"/run/config/$2.flat"; }

# The label stands in an ISO 9660 volume descriptor's byte 40; findfs overlooks drives of less than 64 KiB.
find_config_drive() {
    for device in /dev/vd[a-z] /dev/sr[0-9] /dev/sd[a-z]; do
        [ -b "$device" ] || continue
        case $(dd if="$device" bs=8 skip=4101 count=1 2>/dev/null) in config-2 | CONFIG-2) return ;; esac
    done
    false
}

from_config_drive() {
    find_config_drive || return
    load cdrom isofs
    mount -r -t iso9660 "$device" /mnt || return
    cp /mnt/openstack/latest/* /run/config/
    umount /mnt
    flatten meta_data meta
    datasource=config-drive:$device
}

fetch() { timeout 5 wget -q -O "/run/config/.$1" "http://169.254.169.254/openstack/latest/$1" && mv "/run/config/.$1" "/run/config/$1"; }

from_metadata_service() {
    ip route get 169.254.169.254 >/dev/null 2>&1 || { say 'no config drive and no way to the metadata service'; return; }
    for pause in 0 1 2 3; do
        sleep $pause
        fetch meta_data.json && break
        say 'the metadata service does not answer'
    done
    [ -f /run/config/meta_data.json ] || return
    fetch user_data
    flatten meta_data meta
    datasource=metadata-service
}
