"""Prints the medians of all rounds, and mailchute's ratio to each peer."""

import json
import statistics
import sys

ROWS = [
    ("inject CPU, ms", "inject_cpu_us", 1e-3, "small"),
    ("inject CPU with daemons, ms", "inject_cpu_all_us", 1e-3, "small"),
    ("inject wall median, ms", "inject_wall_us", 1e-3, "small"),
    ("inject 8 callers, per s", "inject_8way_per_s", 1, "large"),
    ("system calls per injection", "calls_total", 1, "small"),
    ("  of them fsync", "calls_fsync", 1, None),
    ("  of them fork", "calls_fork", 1, None),
    ("  of them exec", "calls_exec", 1, None),
    ("mailq wall, ms", "list_wall_us", 1e-3, "small"),
    ("mailq CPU with daemons, ms", "list_cpu_us", 1e-3, "small"),
    ("drain unsigned, per s", "unsigned_per_s", 1, "large"),
    ("drain unsigned, first to last, per s", "unsigned_first_to_last_per_s", 1, "large"),
    ("drain unsigned CPU, ms", "unsigned_cpu_us", 1e-3, "small"),
    ("  connections", "unsigned_connections", 1, None),
    ("  at once", "unsigned_connections_peak", 1, None),
    ("  missing", "unsigned_missing", 1, None),
    ("  doubled", "unsigned_doubled", 1, None),
    ("drain rsa-2048, per s", "signed_per_s", 1, "large"),
    ("drain rsa-2048 CPU, ms", "signed_cpu_us", 1e-3, "small"),
    ("  signatures", "signed_signatures", 1, None),
    ("  connections at once", "signed_connections_peak", 1, None),
    ("whole way unsigned CPU, ms", "way_cpu_us", 1e-3, "small"),
    ("PSS idle, MiB", "idle_pss_kib", 1 / 1024, "small"),
    ("RSS idle, MiB", "idle_rss_kib", 1 / 1024, "small"),
    ("PSS draining, MiB", "unsigned_pss_kib", 1 / 1024, "small"),
    ("RSS draining, MiB", "unsigned_rss_kib", 1 / 1024, "small"),
    ("PSS draining signed, MiB", "signed_pss_kib", 1 / 1024, "small"),
    ("processes draining", "unsigned_processes", 1, None),
    ("fsync probe at injection, ms", "probe_us", 1e-3, None),
    ("fsync probe at drain, ms", "unsigned_probe_us", 1e-3, None),
    ("fsync probe at signed drain, ms", "signed_probe_us", 1e-3, None),
    ("load at start", "load", 1, None),
]


def median(runs, key):
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def show(value, scale):
    if value is None:
        return "-"
    if scale == 1 and value >= 10 or value == 0:
        return f"{value:.0f}"
    return f"{value * scale:.3g}" if scale == 1 else f"{value * scale:.2f}"


def main():
    runs = [json.loads(line) for line in open(sys.argv[1])]
    if not runs:
        raise SystemExit("no results")
    for run in runs:
        # Systems share the work between injection and delivery in different ways: the sum is what a message costs.
        run["way_cpu_us"] = run["inject_cpu_all_us"] + run["unsigned_cpu_us"]
    names = list(dict.fromkeys(run["peer"] for run in runs))
    by = {name: [run for run in runs if run["peer"] == name] for name in names}
    others = [name for name in names if name != "mailchute"] if "mailchute" in names else []
    head = [""] + names + [f"÷ {name}" for name in others]
    table = [head]
    for title, key, scale, better in ROWS:
        values = {name: median(by[name], key) for name in names}
        line = [title] + [show(values[name], scale) for name in names]
        for name in others:
            ours, theirs = values["mailchute"], values[name]
            line.append(f"{ours / theirs:.2f}x" if better and ours is not None and theirs else "")
        table.append(line)
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    for line in table:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())
    counts = ", ".join(f"{name} {len(by[name])}" for name in names)
    print(f"\nmedians of rounds: {counts}; {runs[0]['messages']} messages to drain, {runs[0]['calls']} injections, {runs[0]['listed']} messages to list; ratios: mailchute ÷ peer")


if __name__ == "__main__":
    main()
