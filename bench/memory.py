"""Processes of a running cloud, and the memory they take: proportional (Pss) and resident (Rss), in MiB."""

from cloud import add_options, processes
from figures import Figures, parser


def main() -> None:
    """Look once, and print what was found."""
    options = parser(__doc__ or "")
    add_options(options)
    given = options.parse_args()
    found = processes(given.state_dir)
    if not found:
        raise SystemExit(f"No cloud runs in {given.state_dir}. Start one: bin/up --driver fake")
    figures = Figures(f"{len(found)} processes")
    for process in found:
        figures.add(
            process.name, pid=process.pid, pss_mib=process.memory_mib(), rss_mib=process.memory_mib("Rss")
        )
    figures.add(
        "all",
        pss_mib=sum(one.memory_mib() for one in found),
        rss_mib=sum(one.memory_mib("Rss") for one in found),
    )
    figures.show(given.json)


if __name__ == "__main__":
    main()
