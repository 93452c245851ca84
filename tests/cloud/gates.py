"""Gates: files that hold a process of the cloud at a named point, so that it can be killed there.

Who comes to a closed gate writes its pid to `<gate>.reached`; see workers.probes and hypervisors.gated.
"""

import time
from dataclasses import dataclass
from pathlib import Path

REACH_S = 30.0


@dataclass(frozen=True)
class Gates:
    """The gates of one cloud."""

    folder: Path

    def close(self, gate: str) -> None:
        """Hold whoever comes to this point from now on."""
        (self.folder / f"{gate}.reached").unlink(missing_ok=True)
        (self.folder / gate).touch()

    def fail(self, gate: str, words: str) -> None:
        """Have the step that comes to this point next fail for good with these words, once."""
        (self.folder / f"{gate}.reached").unlink(missing_ok=True)
        half = self.folder / f".{gate}.half"
        half.write_text(words)
        half.replace(self.folder / gate)

    def was_reached(self, gate: str) -> bool:
        """Tell whether a process has come to the gate since it was closed."""
        return (self.folder / f"{gate}.reached").exists()

    def open(self, gate: str) -> None:
        """Let go whoever is held, and hold nobody any more."""
        (self.folder / gate).unlink(missing_ok=True)
        (self.folder / f"{gate}.reached").unlink(missing_ok=True)

    def open_all(self) -> None:
        """Open every gate."""
        for file in self.folder.glob("*"):
            file.unlink(missing_ok=True)

    def await_reached(self, gate: str, seconds: float = REACH_S) -> int:
        """Wait until a process stands at the gate; returns its pid."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return int((self.folder / f"{gate}.reached").read_text())
            except (FileNotFoundError, ValueError):
                assert time.monotonic() < deadline, f"nobody came to the gate {gate}"
                time.sleep(0.005)
