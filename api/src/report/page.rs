//! The page of one migration or verification.
use icehaul_jobs::{
    audit::Record,
    report::{Report, Verdict},
};

use super::{STYLE, escaped, sections, trail};
use crate::routes::Asked;

/// The whole page.
pub(crate) fn page(report: &Report, asked: Option<&Asked>, records: &[Record]) -> String {
    let (class, badge) = match report.verdict {
        Verdict::Match => ("match", "✔ MATCH"),
        Verdict::Mismatch => ("mismatch", "✘ MISMATCH"),
        Verdict::NotCompared => ("open", "○ COPIED, NOT COMPARED"),
    };
    let title = format!("{} → {}", report.source.whole(), report.destination.whole());
    let what = if report.transfer.is_some() { "Migration" } else { "Verification" };
    let body: String = [
        sections::checks(report),
        sections::differences(report),
        sections::figures(report),
        sections::identity(report),
        sections::columns(report),
        sections::files(report),
        sections::sample(report),
        sections::not_checked(report),
        sections::again(report),
        trail::attempts(&report.attempts),
        trail::asked(asked, records),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · {badge}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header class=\"{class}\">\n<div class=\"badge\">{badge}</div>\n\
         <h1>{what} of {title}</h1>\n<p>{summary}</p>\n<p class=\"soft\">{id} · {finished} · {seconds} s · {tool} {version}</p>\n\
         </header>\n{body}</body>\n</html>\n",
        title = escaped(&title),
        summary = escaped(&report.summary),
        id = escaped(&report.migration_id),
        finished = escaped(&report.finished_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        seconds = report.duration_seconds,
        tool = escaped(&report.tool.name),
        version = escaped(&report.tool.version),
    )
}
