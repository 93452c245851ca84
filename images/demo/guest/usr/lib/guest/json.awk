# Flattens JSON to lines of path, tab, value; in both, \\ \n \t stand for backslash, newline and tab (printf %b turns them back).

function utf8(code) {
    if (code < 128) return code ? sprintf("%c", code) : ""
    if (code < 2048) return byte(192 + int(code / 64)) byte(128 + code % 64)
    if (code < 65536) return byte(224 + int(code / 4096)) byte(128 + int(code / 64) % 64) byte(128 + code % 64)
    return byte(240 + int(code / 262144)) byte(128 + int(code / 4096) % 64) byte(128 + int(code / 64) % 64) byte(128 + code % 64)
}
function byte(n) { return sprintf("%c", n) }

function hexadecimal(digits,    i, n) {
    for (i = 1; i <= length(digits); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
    return n
}

function skip(count) { text = substr(text, count + 1); sub(/^[ \t\r\n]+/, "", text) }

# Takes the string at the front of text, escape by escape; a pair of surrogates is one character.
function string(    raw, out, at, letter, code) {
    if (!match(text, /^"([^"\\]|\\.)*"/)) { text = ""; return "" }
    raw = substr(text, 2, RLENGTH - 2)
    skip(RLENGTH)
    while ((at = index(raw, "\\")) > 0) {
        out = out substr(raw, 1, at - 1)
        letter = substr(raw, at + 1, 1)
        raw = substr(raw, at + 2)
        if (letter == "u") {
            code = hexadecimal(substr(raw, 1, 4))
            raw = substr(raw, 5)
            if (code >= 55296 && code < 56320 && substr(raw, 1, 2) == "\\u") {
                code = 65536 + (code - 55296) * 1024 + hexadecimal(substr(raw, 3, 4)) - 56320
                raw = substr(raw, 7)
            }
            out = out (code == 92 ? "\\\\" : code == 10 ? "\\n" : code == 9 ? "\\t" : utf8(code))
        } else if (index("\\nt", letter)) out = out "\\" letter
        else if (!index("rbf", letter)) out = out letter
    }
    return out raw
}

function value(path,    key, n) {
    if (text ~ /^\{/) {
        skip(1)
        while (text != "" && text !~ /^\}/) {
            key = string()
            skip(1)
            value(path == "" ? key : path "." key)
            if (text ~ /^,/) skip(1)
        }
        skip(1)
    } else if (text ~ /^\[/) {
        skip(1)
        while (text != "" && text !~ /^\]/) {
            value(path "." n + 0)
            n++
            if (text ~ /^,/) skip(1)
        }
        skip(1)
    } else if (text ~ /^"/) print path "\t" string()
    else if (match(text, /^[^],} \t\r\n]+/)) {
        key = substr(text, 1, RLENGTH)
        skip(RLENGTH)
        if (key != "null") print path "\t" key
    } else text = ""
}

{ text = text $0 "\n" }
END { skip(0); value("") }
