#!/usr/bin/env python3
"""Writes bench/RESULTS.md from bench/results:   report.py PATH_OF_THE_PEERS_SUMMARY_PY

pg2m.jsonl (bench/run.sh), files.jsonl and fingerprint.json (bench/files.sh), large.json (bench/large.sh), scrape.jsonl (bench/scrape.sh), migrate.jsonl (bench/migrate.sh), tpch.jsonl (bench/tpch.sh) and tenmillion.json (bench/tenmillion.sh); a missing one leaves out its part.
"""
import datetime as dt
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
TPCH_ROWS = 8_661_245
PUBLISHED = {"ingestr": 781_250, "tpch": 349_000}  # rows per CPU-second: the peers' quiet run; the best published figure


def main():
    parts = [head(), pg2m(), files(), fingerprint(), large(), scrape(), migrate(), tpch(), tenmillion(), queue()]
    (HERE / "RESULTS.md").write_text("\n".join(part for part in parts if part).rstrip() + "\n")


def head():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    memory = int(open("/proc/meminfo").readline().split()[1]) / 2**20
    revision = output("git", "-C", str(HERE), "rev-parse", "--short", "HEAD")
    return f"""# Measured

Written by `bench/report.py` on {dt.date.today()}, revision {revision}. Machine: {os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Linux {platform.release()}, \
{output('postgres', '--version') or output('psql', '--version')}, server and client on the same machine, fsync off.

CPU seconds are those of the client's whole process tree. Ours holds everything from nothing to the end: the start and stop of the service and its
Redis, the command line, the queue. "Other load" is what unrelated processes took of the machine: where it is above 10 %, compare CPU seconds, not wall time.
"""


def pg2m():
    runs = load("pg2m.jsonl")
    if not runs:
        return ""
    table = subprocess.run([sys.executable, sys.argv[1], str(RESULTS / "pg2m.jsonl")], capture_output=True, text=True, check=True).stdout
    ours, proven, duckdb = (median(runs, "cpu", peer) for peer in ("icehaul", "icehaul-checksum", "duckdb-native"))
    rows = 2_000_000
    lines = ["## PostgreSQL to Iceberg: the peers' `orders`, 2 million rows, 9 columns", table.replace("\n### pg2m\n", "").replace("### limit", "### The floor"), ""]
    short = [run for run in runs if run["peer"].startswith("icehaul") and (run["rc"] or run.get("rows") != rows)]
    lines += ["| goal | measured | |", "|---|---|---|", goal("every run of ours ends well with 2,000,000 rows", f"{len(short)} do not", not short)]
    if ours and duckdb:
        lines.append(goal("rows per CPU-second, at least DuckDB's (goal: 1.2 times)", f"{rows / ours:,.0f} : {rows / duckdb:,.0f} = {duckdb / ours:.2f}", duckdb / ours >= 1))
    ingestr = median(runs, "cpu", "ingestr")
    theirs, where = (rows / ingestr, "in this run") if ingestr else (PUBLISHED["ingestr"], "in the peers' quiet run: no binary here")
    if ours:
        lines.append(goal("rows per CPU-second, at least 1.5 times ingestr's", f"{rows / ours:,.0f} : {theirs:,.0f} ({where}) = {rows / ours / theirs:.2f}", rows / ours / theirs >= 1.5))
    copy = median(runs, "wall", "psql-copy-binary")
    job, job_proven = median(runs, "job_seconds", "icehaul"), median(runs, "job_seconds", "icehaul-checksum")
    wall = median(runs, "wall", "icehaul")
    if copy and job and wall:
        lines.append(goal("wall time of the job, at most 1.4 times a bare COPY", f"{job:.2f} s : {copy:.2f} s = {job / copy:.2f} (with start and stop {wall:.2f} s = {wall / copy:.2f})", job / copy <= 1.4))
    if job and job_proven:
        lines.append(goal("with checksum, at most 1.25 times our own wall time", f"{job_proven:.2f} s : {job:.2f} s = {job_proven / job:.2f} (CPU {proven / ours:.2f})", job_proven / job <= 1.25))
    contents = {peer: {key: check.get(key) for key in ("rows", "sum_price", "sum_id", "null_status")} for peer, check in verified(runs).items()}
    missing = {"icehaul", "icehaul-checksum"} - contents.keys()
    same = len({json.dumps(content) for content in contents.values()}) == 1 and not missing
    lines.append(goal("the same content as every peer's (rows, sums, nulls; read by PyIceberg)",
                      f"{len(contents)} tables" + "".join(f"; none of {peer}" for peer in sorted(missing)), same))
    if not same:
        lines += ["", *(f"- {peer}: {content}" for peer, content in contents.items())]
    return "\n".join(lines) + "\n"


# The bar per task: rows per second and per CPU-second of DuckDB's native writer in the peers' quiet run.
BARS = {"csv2m": ("CSV", 1_100_000, 670_000), "pq2m": ("Parquet", 1_640_000, 1_020_000)}


def peers(runs, amount, unit):
    """The table of a task's peers, each of which did an amount of some unit; those that took the least CPU time first."""
    lines = [f"| peer | runs | wall s med (min) | job s | client CPU s med (min) | {unit} per s | {unit} per CPU-s | peak MB | server CPU s | other load |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for peer in sorted({run["peer"] for run in runs}, key=lambda peer: median(runs, "cpu", peer) or 1e9):
        good = [run for run in runs if run["peer"] == peer and run["rc"] == 0]
        if not good:
            lines.append(f"| {peer} | FAILED | | | | | | | | |")
            continue
        wall, cpu, job = (median(runs, key, peer) for key in ("wall", "cpu", "job_seconds"))
        lines.append(f"| {peer} | {len(good)} | {wall:.2f} ({min(run['wall'] for run in good):.2f}) | {f'{job:.2f}' if job else '-'} | {cpu:.2f} ({min(run['cpu'] for run in good):.2f}) | "
                     f"{amount / wall:,.0f} | {amount / cpu:,.0f} | {max(run['rss_mb'] for run in good)} | {median(runs, 'srv_cpu', peer):.2f} | {median(runs, 'other_cpu', peer):.0%} |")
    return lines


def files():
    everything = load("files.jsonl")
    if not everything:
        return ""
    rows, lines = 2_000_000, ["## Files to Iceberg: the peers' `orders`, 2 million rows, 9 columns", ""]
    for task, (title, published_wall, published_cpu) in BARS.items():
        runs = [run for run in everything if run["task"] == task]
        lines += [f"### {title}", "", *peers(runs, rows, "rows")]
        lines += ["", "| goal | measured | |", "|---|---|---|"]
        for peer in [peer for peer in dict.fromkeys(run["peer"] for run in runs) if peer.startswith("icehaul")]:
            share = 0.8 if "-s3" in peer else 1.0
            for what, key, published in (("wall time", "wall", published_wall), ("CPU time", "cpu", published_cpu)):
                ours, duckdb, pyiceberg = (median(runs, key, name) for name in (peer, "duckdb-native", "pyiceberg+pyarrow"))
                if ours and duckdb:
                    lines.append(goal(f"{peer}: rows per {what}, at least {share:g} times DuckDB's in this run", f"{rows / ours:,.0f} : {rows / duckdb:,.0f} = {duckdb / ours:.2f} (its quiet run: {published:,})", duckdb / ours >= share))
                if ours and pyiceberg and share == 1.0:
                    lines.append(goal(f"{peer}: rows per {what}, at least 2 times PyIceberg's with pyarrow", f"{pyiceberg / ours:.2f}", pyiceberg / ours >= 2))
        contents = {peer: {key: check.get(key) for key in ("rows", "sum_price", "sum_id", "null_status")} for peer, check in verified(runs).items()}
        same = len({json.dumps(content) for content in contents.values()}) == 1
        lines.append(goal("the same content as every peer's (rows, sums, nulls; read by PyIceberg)", f"{len(contents)} tables", same))
        lines += ["", *(f"- {peer}: {content}" for peer, content in contents.items() if not same), ""]
    return "\n".join(lines) + "\n"


def fingerprint():
    path = RESULTS / "fingerprint.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    middle = statistics.median(found["seconds"])
    return "\n".join(["## The fingerprint of a table: 2 million rows, 9 columns, by the command line", "", "| goal | measured | |", "|---|---|---|",
                      goal("at least 1,500,000 rows per second", f"{found['rows'] / middle:,.0f} ({middle:.2f} s, {len(found['seconds'])} runs)", found["rows"] / middle >= 1_500_000)]) + "\n"


def large():
    path = RESULTS / "large.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    return "\n".join([f"## One CSV file of {found['bytes'] / 1e9:.1f} GB, {found['rows']:,} rows, types decided over all of it", "", "| goal | measured | |", "|---|---|---|",
                      goal("peak memory of the service below 512 MB", f"{found['worker_peak_mb']} MB", found["worker_peak_mb"] < 512),
                      goal("rows and sums as in the file", f"{found['rows']:,} rows in {found['job_seconds']:.0f} s", found["equal"])]) + "\n"


# What a scrape's task is about: its heading, how much of it there is, and of what.
SCRAPES = {"scrape200": ("200 pages with a table of 50 rows each", 200, "pages"), "rest5k-iceberg": ("5,000 records of an API in 50 pages", 5000, "records"),
           "large-page": ("One page with a table of 200,000 rows", 200_000, "rows")}
SCRAPED_ROWS = {"scrape200": 10_000, "rest5k-iceberg": 5000, "large-page": 200_000}


def scrape():
    everything = load("scrape.jsonl")
    if not everything:
        return ""
    lines = ["## Pages and APIs to Iceberg", "", "The site takes 5 ms for each answer; politeness is off. Colly, Scrapy and aiohttp only parse: they write no table.", ""]
    for task, (title, amount, unit) in SCRAPES.items():
        runs = [run for run in everything if run["task"] == task]
        lines += [f"### {title}", "", *peers(runs, amount, unit)]
        lines += ["", "| goal | measured | |", "|---|---|---|"]
        for peer in [peer for peer in dict.fromkeys(run["peer"] for run in runs) if peer.startswith("icehaul")]:
            lines += scrape_goals(task, peer, runs, amount, unit)
        lines.append("")
    return "\n".join(lines) + "\n"


def scrape_goals(task, peer, runs, amount, unit):
    """What one of our cases must reach, beside the peers of the same run."""
    own = [run for run in runs if run["peer"] == peer]
    expected = SCRAPED_ROWS[task]
    short = [run for run in own if not ended_well(run, expected)]
    read = ", which PyIceberg reads" if verified(own) else ""
    yield goal(f"{peer}: every run ends well with {expected:,} rows{read}", f"{len(short)} of {len(own)} do not", not short)
    cpu, wall = median(runs, "cpu", peer), median(runs, "wall", peer)
    if not cpu:
        return
    if task == "scrape200":
        # Colly asks for eight pages at once, and is compared with our case that does.
        for other, times in (("colly", 1), ("scrapy", 9)):
            theirs = median(runs, "cpu", other)
            if theirs and (other != "colly" or peer == "icehaul-8"):
                yield goal(f"{peer}: {unit} per CPU-second, at least {times} times those of {other}", f"{amount / cpu:,.0f} : {amount / theirs:,.0f} = {theirs / cpu:.2f}", theirs / cpu >= times)
    elif task == "rest5k-iceberg":
        theirs = median(runs, "wall", "requests+pyiceberg")
        if theirs:
            yield goal(f"{peer}: {unit} per second, at least 5 times those of requests with PyIceberg", f"{amount / wall:,.0f} : {amount / theirs:,.0f} = {theirs / wall:.2f}", theirs / wall >= 5)
    else:
        peak = max(run["worker_peak_mb"] for run in own if "worker_peak_mb" in run)
        yield goal(f"{peer}: peak of the service below 400 MiB", f"{peak} MiB", peak < 400)
        yield goal(f"{peer}: less than 3 s of CPU", f"{cpu:.2f} s", cpu < 3)


# What a migration's task is about: its heading, how much of it there is, and of what.
MIGRATIONS = {"copy2m": ("The peers' `orders`, 2 million rows, 9 columns, both sides compared", 2_000_000, "rows"),
              "copy-files": ("The files of 20 million rows, byte for byte", 20_000_000, "rows"), "bulk10": ("Ten tables of 200,000 rows", 10, "tables")}


def migrate():
    everything = load("migrate.jsonl")
    if not everything:
        return ""
    lines = ["## Iceberg to Iceberg, with proof", ""]
    for task, (title, amount, unit) in MIGRATIONS.items():
        runs = [run for run in everything if run["task"] == task]
        lines += [f"### {title}", "", *peers(runs, amount, unit), "", "| goal | measured | |", "|---|---|---|", *migrate_goals(task, runs, amount), ""]
    return "\n".join(lines) + "\n"


def migrate_goals(task, runs, amount):
    own = [run for run in runs if run["peer"].startswith("icehaul")]
    expected = 2_000_000 if task == "bulk10" else amount
    short = [run for run in own if not ended_well(run, expected)]
    yield goal(f"every run ends well with {expected:,} rows", f"{len(short)} of {len(own)} do not", not short)
    wall = {run["peer"]: median(runs, "wall", run["peer"]) for run in runs}
    cpu = {run["peer"]: median(runs, "cpu", run["peer"]) for run in runs}
    peak = max((run["worker_peak_mb"] for run in own if "worker_peak_mb" in run), default=None)
    if peak:
        yield goal("peak of the service below 512 MiB", f"{peak} MiB", peak < 512)
    if task == "copy2m" and wall.get("icehaul") and wall.get("duckdb-rowsha256"):
        for what, taken in (("second", wall), ("CPU-second", cpu)):
            ours, theirs = taken["icehaul"], taken["duckdb-rowsha256"]
            yield goal(f"rows per {what}, at least 2.5 times those of DuckDB with row SHA-256", f"{amount / ours:,.0f} : {amount / theirs:,.0f} = {theirs / ours:.2f}", theirs / ours >= 2.5)
    if task == "copy-files" and wall.get("icehaul") and wall.get("cp+sha256sum"):
        share, job = wall["cp+sha256sum"] / wall["icehaul"], wall["cp+sha256sum"] / median(runs, "job_seconds", "icehaul")
        yield goal("at least 70 % of the speed of `cp -r` with `sha256sum`", f"{job:.0%} for the job, {share:.0%} with start and stop of the service", job >= 0.7)
    if task == "bulk10" and wall.get("icehaul-1") and wall.get("icehaul-4"):
        ratio = wall["icehaul-4"] / wall["icehaul-1"]
        yield goal("four side by side take at most 60 % of the time of one after another", f"{ratio:.0%}", ratio <= 0.6)


def tpch():
    runs = load("tpch.jsonl")
    if not runs:
        return ""
    lines = ["## TPC-H scale 1: 8 tables, 8.66 million rows", "",
             "| | runs | wall s | jobs s | CPU s | rows per CPU-second | peak of the service MB | other load |", "|---|---|---|---|---|---|---|---|"]
    for peer in dict.fromkeys(run["peer"] for run in runs):
        good = [run for run in runs if run["peer"] == peer and run["rc"] == 0]
        if not good:
            lines.append(f"| {peer} | FAILED | | | | | | |")
            continue
        middle = {key: median(runs, key, peer) for key in ("wall", "job_seconds", "cpu", "other_cpu")}
        wrong = "" if all(run.get("rows") == TPCH_ROWS for run in good) else " ROWS!"
        lines.append(f"| {peer} | {len(good)} | {middle['wall']:.2f} | {middle['job_seconds']:.2f} | {middle['cpu']:.2f} | {TPCH_ROWS / middle['cpu']:,.0f}{wrong} | "
                     f"{max(run['worker_peak_mb'] for run in good)} | {middle['other_cpu']:.0%} |")
    cpu = median(runs, "cpu", "icehaul")
    if cpu:
        rate = TPCH_ROWS / cpu
        lines += ["", "| goal | measured | |", "|---|---|---|",
                  goal("at least 500,000 rows per CPU-second", f"{rate:,.0f}; the best published figure is {PUBLISHED['tpch']:,}",
                       rate >= 500_000 and all(run.get("rows") == TPCH_ROWS for run in runs))]
    return "\n".join(lines) + "\n"


def tenmillion():
    path = RESULTS / "tenmillion.json"
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    lines = [f"## Exactness: {found['rows']:,} rows of TPC-H's lineitem", "", "| goal | measured | |", "|---|---|---|",
             goal(f"counts, sums, smallest and largest values agree: {', '.join(found['engines'])}", f"{found['values_compared']} values, {len(found['differences'])} differences", found["equal"]),
             goal(f"the fingerprints agree: {', '.join(found['fingerprints'])}", f"{len(set(found['fingerprints'].values()))} different", len(set(found["fingerprints"].values())) == 1),
             goal("peak memory of the worker below 512 MB", f"{found['worker_peak_mb']} MB", found["worker_peak_mb"] < 512)]
    return "\n".join(lines) + "\n"


def queue():
    """What `bench_queue` has printed, kept by hand in results/queue.md."""
    path = RESULTS / "queue.md"
    return f"## Queue: one Redis with its append-only file, one worker process, on the same machine\n\n{path.read_text()}" if path.exists() else ""


def goal(what, measured, reached):
    return f"| {what} | {measured} | {'reached' if reached else '**missed**'} |"


def load(name):
    path = RESULTS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def median(runs, key, peer):
    values = [run[key] for run in runs if run["peer"] == peer and run["rc"] == 0 and key in run]
    return statistics.median(values) if values else None


def verified(runs):
    """What PyIceberg read, of tables with the columns of the peers' orders; of others the peers' check reads nothing."""
    return {run["peer"]: run["verify"] for run in runs if run.get("verify", {}).get("sum_id") is not None}


def ended_well(run, rows):
    return not run["rc"] and run.get("rows") == rows and all(check["rows"] == rows for check in verified([run]).values())


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
