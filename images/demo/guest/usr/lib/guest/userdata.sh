# User data: a script is run, of a #cloud-config the keys hostname, ssh_authorized_keys and runcmd are obeyed.
# The script, and what runcmd lists, once for each instance; what it prints goes to the console and to /var/log/user-data.log.

read_user_data() {
    data=/run/config/user_data
    [ -s $data ] || return
    [ "$(head -c 2 $data | hexdump -e '2/1 "%02x"')" != 1f8b ] || { zcat $data >$data.plain && mv $data.plain $data; }
    read -r first <$data
    case $first in
    '#!'*) cp $data /run/user-data ;;
    '#cloud-config'*)
        awk -f $guest/cloud-config.awk $data >/run/config/cloud-config
        . /run/config/cloud-config
        ;;
    *) say 'the user data is neither a script nor #cloud-config; it stays in /run/config/user_data' ;;
    esac
}

run_user_data() {
    [ -f /run/user-data ] && [ ! -e /var/lib/guest/user-data-done ] || return
    chmod 700 /run/user-data
    : >/var/lib/guest/user-data-done
    mkdir -p /var/log
    { /run/user-data; echo "computecloud guest: user data ended with status $?"; } 2>&1 | tee /var/log/user-data.log >/dev/console
}
