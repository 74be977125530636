//! Who asked for a job, its attempts, and its records in the audit trail.
use chrono::{DateTime, SecondsFormat, Utc};
use icehaul_jobs::{audit::Record, report::Attempts};

use super::{
    escaped,
    sections::section,
    table::{Cell, table},
};
use crate::routes::Asked;

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Each attempt with its worker and its end.
pub(super) fn attempts(attempts: &Attempts) -> String {
    let rows = attempts.all.iter().map(|attempt| {
        let ended = match (attempt.ended_at, attempt.attempt == attempts.attempt) {
            (_, true) => "made this report".to_owned(),
            (Some(at), false) => time(at),
            (None, false) => "unknown".to_owned(),
        };
        let error = attempt.error.as_ref().map(|error| format!("{}: {}", error.code.as_str(), error.message));
        let cells = vec![
            Cell(attempt.attempt.to_string(), "n"),
            Cell::text(&attempt.worker),
            Cell::text(time(attempt.started_at)),
            Cell::text(&ended),
            Cell::text(error.as_deref().unwrap_or_default()),
        ];
        (true, cells)
    });
    let finished =
        attempts.finished_by_attempt.map(|n| format!(" Attempt {n} finished the report.")).unwrap_or_default();
    let told =
        format!("<p class=\"soft\">What is told here was found by attempt {}.{finished}</p>\n", attempts.attempt);
    section("Attempts", &(told + &table(&["", "Worker", "Began", "Ended", "Error"], rows)))
}

/// Who asked, and what the audit trail has of the job.
pub(super) fn asked(asked: Option<&Asked>, records: &[Record]) -> String {
    let Some(asked) = asked else {
        return section(
            "Who asked",
            "<p class=\"soft\">No audit trail tells: none was kept, or it cannot be read now.</p>\n",
        );
    };
    let show = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let told = format!(
        "{} at {}, from {} with {}",
        show(&asked.requester),
        time(asked.at),
        show(&asked.address),
        show(&asked.client)
    );
    let rows = records.iter().map(|record| {
        let number = record.seq.map_or_else(|| "waits".to_owned(), |seq| seq.to_string());
        let text = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or_default());
        let cells = vec![
            Cell(number, "n"),
            Cell::text(time(record.at)),
            text(&record.action),
            text(&record.status),
            text(&record.hash),
        ];
        (true, cells)
    });
    let table = table(&["", "When", "What", "Status", "Hash in the chain"], rows);
    section("Who asked", &format!("<p>{}</p>\n{table}", escaped(&told)))
}
