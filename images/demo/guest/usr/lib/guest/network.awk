# Turns the cards ("MAC device" lines) and a flattened network_data.json into shell commands.

function word(text) { gsub(/[^0-9A-Za-z:.\/_-]/, "", text); return text }

# Length of an IPv4 or IPv6 netmask.
function prefix(mask,    parts, count, i, bits) {
    if (mask ~ /:/) {
        count = split(mask, parts, ":")
        for (i = 1; i <= count; i++) bits += ones(parts[i], 16)
    } else {
        count = split(mask, parts, ".")
        for (i = 1; i <= count; i++) bits += ones(sprintf("%x", parts[i]), 16)
    }
    return bits + 0
}

function ones(hex, base,    i, digit, bits) {
    for (i = 1; i <= length(hex); i++)
        for (digit = index("0123456789abcdef", tolower(substr(hex, i, 1))) - 1; digit > 0; digit = int(digit / 2)) bits += digit % 2
    return bits + 0
}

function with_prefix(address, mask) { return word(address ~ /\// || mask == "" ? address : address "/" prefix(mask)) }

function route(network, mask, gateway, device) {
    if (gateway != "") print "ip route replace " with_prefix(network, mask) " via " word(gateway) " dev " device
}

function fixed(n, device, family,    path, r) {
    path = "networks." n
    print "ip addr replace " with_prefix(value[path ".ip_address"], value[path ".netmask"]) " dev " device
    for (r = 0; (path ".routes." r ".network") in value; r++)
        route(value[path ".routes." r ".network"], value[path ".routes." r ".netmask"], value[path ".routes." r ".gateway"], device)
    if ((path ".gateway") in value) route(family == 6 ? "::/0" : "0.0.0.0/0", "", value[path ".gateway"], device)
}

FILENAME == ARGV[1] { by_mac[$1] = $2; next }
{ tab = index($0, "\t"); value[substr($0, 1, tab - 1)] = substr($0, tab + 1) }

END {
    for (n = 0; ("links." n ".id") in value; n++) {
        device = by_mac[tolower(value["links." n ".ethernet_mac_address"])]
        if (device == "") continue
        of_link[value["links." n ".id"]] = device
        mtu = word(value["links." n ".mtu"])
        print "ip link set " device " up" (mtu ~ /^[0-9]+$/ ? " mtu " mtu : "")
    }
    for (n = 0; ("networks." n ".type") in value; n++) {
        device = of_link[value["networks." n ".link"]]
        type = value["networks." n ".type"]
        if (device == "") continue
        if (type == "ipv4_dhcp") print "dhcp " device
        else if (type == "ipv4" || type == "ipv6") fixed(n, device, substr(type, 4))
    }
    for (path in value)
        if (path ~ /services\.[0-9]+\.address$/ && !seen[value[path]]++) print "echo nameserver " word(value[path]) " >>/etc/resolv.conf"
}
