# Turns the part of a #cloud-config that this guest understands into calls of set_hostname and add_key and a script /run/user-data.

function quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }

function plain(text) { # a YAML scalar without its quotes
    sub(/^[ \t]+/, "", text)
    sub(/[ \t\r]+$/, "", text)
    if (text ~ /^".*"$/ || text ~ /^'.*'$/) text = substr(text, 2, length(text) - 2)
    return text
}

function command(text,    words, count, i, line) { # "a b" as it stands, [a, b] with each word quoted
    if (text !~ /^\[.*\]$/) return plain(text)
    count = split(substr(text, 2, length(text) - 2), words, ",")
    for (i = 1; i <= count; i++) line = line (i > 1 ? " " : "") quoted(plain(words[i]))
    return line
}

function item(text) {
    if (section == "ssh_authorized_keys") print "add_key " quoted(plain(text))
    if (section == "runcmd") script = script command(text) "\n"
}

/^[ \t]*(#|$)/ && !block { next }
/^[A-Za-z_]+:/ {
    block = 0
    section = substr($0, 1, index($0, ":") - 1)
    if (section == "hostname") print "set_hostname " quoted(plain(substr($0, 10)))
    next
}
/^[ \t]*-[ \t]/ && !(block && match($0, /^[ \t]*/) && RLENGTH > dash) {
    match($0, /^[ \t]*/)
    dash = RLENGTH
    text = plain(substr($0, dash + 2))
    block = text ~ /^[|>][+-]?$/
    if (!block) item(text)
    next
}
block && section == "runcmd" { script = script plain($0) "\n" }
END { if (script != "") print "printf '%s' " quoted("#!/bin/sh\n" script) " >/run/user-data" }
