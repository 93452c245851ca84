# network_data.json where there is one, DHCP on every card otherwise.

dhcp() { udhcpc -i "$1" -n -t 6 -T 1 -O staticroutes -O mtu -x hostname:"$(hostname)" -s /sbin/lease >/run/dhcp."$1".log 2>&1 || say "no DHCP answer on $1"; }

cards() { # lines of MAC address, device
    for card in /sys/class/net/*; do
        read -r mac <"$card/address" && [ "$mac" != 00:00:00:00:00:00 ] && echo "$mac ${card##*/}"
    done
}

configure_network() {
    cards >/run/config/cards
    if [ -f /run/config/network_data.json ]; then
        flatten network_data network
        awk -f $guest/network.awk /run/config/cards /run/config/network.flat >/run/config/network.commands
    else
        awk '{ print "ip link set " $2 " up"; print "dhcp " $2 }' /run/config/cards >/run/config/network.commands
    fi
    . /run/config/network.commands
}
