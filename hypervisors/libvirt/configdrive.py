"""The config drive: an ISO 9660 image labelled config-2, with the long names of Rock Ridge and Joliet."""

import io
from itertools import count
from pathlib import Path, PurePosixPath

from pycdlib import PyCdlib
from pycdlib.pycdlibexception import PyCdlibException

from hypervisors.driver import CallFailed
from hypervisors.libvirt.overlay import finish

LABEL = "config-2"


def make(files: dict[str, bytes], path: Path) -> None:
    """Write an image that holds the files (path in the drive to content), whole or not at all; raises CallFailed."""
    half = path.with_name(f".{path.name}.half")
    half.unlink(missing_ok=True)
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        _add_all(iso, files)
        with half.open("wb") as file:
            half.chmod(0o600)
            iso.write_fp(file)
    except PyCdlibException as error:
        raise CallFailed(f"no config drive can be made of these files: {error}") from error
    finally:
        iso.close()
    finish(half, path)


def _add_all(iso: PyCdlib, files: dict[str, bytes]) -> None:
    """Add folders and files; their ISO 9660 names are numbers, since those may be short and upper-case only."""
    number = count(1)
    folders = {PurePosixPath("/"): ""}
    for name, content in sorted(files.items()):
        path = PurePosixPath("/") / name
        if ".." in path.parts or not name or name.startswith("/"):
            raise CallFailed(f"a config drive holds no file {name!r}")
        for folder in [*reversed(path.parents)]:
            if folder not in folders:
                folders[folder] = f"{folders[folder.parent]}/D{next(number):07d}"
                iso.add_directory(folders[folder], rr_name=folder.name, joliet_path=str(folder))
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"{folders[path.parent]}/F{next(number):07d}.;1",
            rr_name=path.name,
            joliet_path=str(path),
        )
