"""An operating system of 70 bytes: prints to its serial port, obeys its power button, or switches itself off.

16-bit code of a boot sector, for the PC's ports as QEMU has them: serial 0x3f8, ACPI power management at 0x600.
"""

from pathlib import Path

BANNER = b"tinyguest is up\r\n"

_PRINT = (
    "fc"  # cld
    "31c0 8ed8"  # ds = 0
    "be467c"  # si = text, behind the code
    "ac 08c0 7412"  # next: al = [si++]; the end: go to ready
    "88c3 bafd03 ec a820 74fb"  # wait until the port takes a byte
    "baf803 88d8 ee ebe9"  # send it; go to next
)
_WATCH = (
    "ba0206 b80001 ef"  # ready: enable the power button's event
    "b91200"  # cx = 18 ticks, about a second
    "fb f4"  # idle: sleep until the next tick (18.2 a second)
    "ba0006 ed f6c401 7509"  # button pressed: go to off
    "e2f3"  # cx -= 1, not yet 0: go to idle
)
_AGAIN = "eb00 b91200 ebec"  # start counting again
_OFF = "eb05 b91200 ebec"  # time is up: go to off
_SWITCH_OFF = "ba0406 b80020 ef ebe3"  # off: enter the soft-off state


def write(path: Path, *, lives_a_second: bool = False) -> Path:
    """Write a raw disk of 1 MiB that boots; the guest lives until it is told to go, or for about a second."""
    code = bytes.fromhex(_PRINT + _WATCH + (_OFF if lives_a_second else _AGAIN) + _SWITCH_OFF)
    sector = (code + BANNER + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1024**2, b"\0"))
    return path
