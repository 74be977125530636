//! The page of a batch.
use icehaul_jobs::{
    audit::Record,
    report::{BatchReport, Verdict},
};

use super::{
    STYLE,
    bars::{Bar, bars},
    escaped, number,
    table::{Cell, table},
    trail,
};
use crate::routes::Asked;

/// The most tables that are drawn as bars.
const DRAWN: usize = 40;

/// The whole page.
pub(crate) fn batch_page(report: &BatchReport, asked: Option<&Asked>, records: &[Record]) -> String {
    let (class, badge) = match report.verdict {
        Verdict::Mismatch => ("mismatch", "✘ TABLES DIFFER, NOT ALL WERE MIGRATED"),
        _ if report.failed + report.cancelled > 0 => ("mismatch", "✘ NOT ALL TABLES WERE MIGRATED"),
        Verdict::Match => ("match", "✔ ALL TABLES MATCH"),
        Verdict::NotCompared => ("open", "○ COPIED, NOT ALL COMPARED"),
    };
    let rows = report.tables.iter().map(|line| {
        let holds = line.status == "succeeded";
        let link = line.report.as_deref().map(|path| format!("<a href=\"{}?format=html\">report</a>", escaped(path)));
        let cells = vec![
            Cell::text(&line.source),
            Cell::text(&line.destination),
            Cell(escaped(&line.status), if holds { "yes" } else { "no" }),
            Cell::verdict(
                line.verdict
                    .map(|verdict| verdict == Verdict::Match)
                    .filter(|_| line.verdict != Some(Verdict::NotCompared)),
            ),
            Cell::number(line.rows),
            Cell::number(line.bytes),
            Cell(line.seconds.map_or_else(|| "—".to_owned(), |s| s.to_string()), "n"),
            Cell(line.attempts.to_string(), "n"),
            line.error.as_deref().map_or(Cell(String::new(), ""), |error| Cell(escaped(error), "long")),
            Cell(link.unwrap_or_default(), ""),
        ];
        (holds, cells)
    });
    let header = ["Source", "Destination", "Status", "Compared", "Rows", "Bytes", "Seconds", "Tries", "Error", ""];
    let tables = table(&header, rows);
    let drawn = report.tables.iter().take(DRAWN).map(|line| Bar {
        name: line.destination.rsplit('.').next().unwrap_or_default().chars().take(14).collect(),
        value: line.seconds.unwrap_or_default(),
        label: match (line.seconds, line.rows) {
            (Some(seconds), Some(rows)) => format!("{seconds} s · {} rows", number(rows)),
            _ => line.status.clone(),
        },
    });
    let drawn: Vec<_> = drawn.collect();
    let request = serde_json::to_string_pretty(&report.request).unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{n} tables · {badge}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header class=\"{class}\">\n<div class=\"badge\">{badge}</div>\n\
         <h1>Migration of {n} tables</h1>\n<p>{summary}</p>\n<p class=\"soft\">{id} · {finished} · {seconds} s, {parallel} side by \
         side · {rows} rows · {bytes} bytes · {tool} {version}</p>\n</header>\n<h2>Tables</h2>\n{tables}<h2>Time</h2>\n{bars}\
         <h2>Request</h2>\n<pre>{request}</pre>\n{trail}</body>\n</html>\n",
        n = report.tables.len(),
        summary = escaped(&report.summary),
        id = escaped(&report.migration_id),
        finished = escaped(&report.finished_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        seconds = report.duration_seconds,
        parallel = report.parallelism,
        rows = number(report.rows),
        bytes = number(report.bytes),
        tool = escaped(&report.tool.name),
        version = escaped(&report.tool.version),
        bars = bars("Seconds of each table", &drawn),
        request = escaped(&request),
        trail = trail::asked(asked, records),
    )
}
