"""What a request pays for its token: the check of a new one, and of one that was seen before; without a cloud."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine import prepare
from figures import Figures, parser, percentile


def main() -> None:
    """Make tokens, check them, print what was found."""
    options = parser(__doc__ or "")
    options.add_argument("--tokens", type=int, default=2_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="computecloud-bench-") as folder:
        prepare(Path(folder), "")
        from identity import tokens

        grant = tokens.Grant(
            user_id="u" * 32, user_name="u", user_domain_id="default", roles=("member",), project_id="p" * 32
        )
        made = [tokens.issue(grant) for _ in range(given.tokens)]
        figures = Figures(f"Checks of {given.tokens} tokens")
        figures.add("a new one", **measure(tokens.check, made))
        figures.add("one that was seen", **measure(tokens.check, made))
        figures.show(given.json)


def measure(work: Callable[[str], object], items: list[str]) -> dict[str, float]:
    """Return median and 99th percentile in µs."""
    taken = []
    for item in items:
        began = time.perf_counter()
        work(item)
        taken.append((time.perf_counter() - began) * 1e6)
    return {"p50_us": statistics.median(taken), "p99_us": percentile(taken, 99)}


if __name__ == "__main__":
    main()
