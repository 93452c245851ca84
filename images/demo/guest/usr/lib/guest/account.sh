# Who may log in, under what name the guest is known. What belongs to one instance is made anew when its uuid changes:
# a guest started from another's snapshot has neither its host key nor its visitors.

meta() { awk -v path="$1" 'index($0, path "\t") == 1 { print substr($0, length(path) + 2); exit }' /run/config/meta.flat; }

set_hostname() {
    name=${1%%.*}
    [ -n "$name" ] || return
    echo "$name" >/etc/hostname
    echo "127.0.0.1 localhost $name" >/etc/hosts
    hostname "$name"
}

add_key() {
    [ -n "$1" ] || return
    grep -qxF "$1" /root/.ssh/authorized_keys || echo "$1" >>/root/.ssh/authorized_keys
}

new_instance() { # forget the instance that this disk was before
    rm -f /etc/dropbear/*_key /var/lib/guest/user-data-done
    : >/root/.ssh/authorized_keys
    sed -i 's|^root:[^:]*:|root:*:|' /etc/shadow
    password=$(meta admin_pass)
    [ -z "$password" ] || printf 'root:%b\n' "$password" | chpasswd
    echo "$instance" >/var/lib/guest/instance
}

configure_account() {
    mkdir -p -m 700 /root/.ssh /etc/dropbear
    [ -f /root/.ssh/authorized_keys ] || : >/root/.ssh/authorized_keys
    chmod 600 /root/.ssh/authorized_keys
    if [ -f /run/config/meta.flat ]; then
        instance=$(meta uuid)
        read -r before 2>/dev/null </var/lib/guest/instance
        [ "$instance" = "$before" ] || new_instance
        set_hostname "$(meta hostname)"
        awk 'index($0, "public_keys.") == 1 { sub(/^[^\t]*\t/, ""); sub(/\\n.*/, ""); print }' /run/config/meta.flat |
            while read -r key; do add_key "$key"; done
    fi
    [ -f /etc/dropbear/dropbear_ed25519_host_key ] || dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key >/dev/null 2>&1
    say "SSH host key $(dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep SHA256)"
}
