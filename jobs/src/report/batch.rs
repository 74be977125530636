//! One report over all tables of a batch.
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Tool, Verdict};
use crate::JobId;

/// What came of many migrations.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchReport {
    /// The version of this form.
    pub report_version: u32,
    /// The batch's job.
    pub migration_id: String,
    /// `migrate.batch`.
    pub kind: String,
    /// `success`, or `failed` if a table was not migrated.
    pub status: String,
    /// `match` if every table was migrated and compared, `mismatch` if one differed.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub summary: String,
    /// When the batch began.
    pub started_at: DateTime<Utc>,
    /// When its last table had ended.
    pub finished_at: DateTime<Utc>,
    /// The time between.
    pub duration_seconds: f64,
    /// What made it.
    pub tool: Tool,
    /// How many tables were migrated side by side.
    pub parallelism: u32,
    /// Tables that were migrated.
    pub succeeded: u64,
    /// Tables that were not.
    pub failed: u64,
    /// Tables whose jobs were stopped.
    pub cancelled: u64,
    /// The rows that were migrated.
    pub rows: u64,
    /// The bytes that were written.
    pub bytes: u64,
    /// The tables, in the order of the request or by name.
    pub tables: Vec<BatchLine>,
    /// The request.
    pub request: Value,
}

/// One table of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchLine {
    /// The table that was read, `catalog.namespace.table`.
    pub source: String,
    /// The table that was written.
    pub destination: String,
    /// Its own job.
    pub job_id: JobId,
    /// How that ended: `succeeded`, `failed` or `cancelled`.
    pub status: String,
    /// What was compared; null if nothing was.
    pub verdict: Option<Verdict>,
    /// The rows that were migrated.
    pub rows: Option<u64>,
    /// The bytes that were written.
    pub bytes: Option<u64>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How often it was tried.
    pub attempts: u32,
    /// The fingerprint of its rows.
    pub fingerprint: Option<String>,
    /// Why it failed: the code.
    pub error_code: Option<String>,
    /// Why it failed: the sentence.
    pub error: Option<String>,
    /// Its own report; null if there is none, as when it failed before anything was compared.
    pub report: Option<String>,
}

impl BatchReport {
    /// The tables as comma-separated values (RFC 4180).
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "source,destination,job_id,status,verdict,rows,bytes,seconds,attempts,fingerprint,error_code,error,report\r\n",
        );
        for line in &self.tables {
            let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
            let verdict = line.verdict.and_then(|verdict| serde_json::to_value(verdict).ok());
            let cells = [
                line.source.clone(),
                line.destination.clone(),
                line.job_id.to_string(),
                line.status.clone(),
                verdict.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
                number(line.rows),
                number(line.bytes),
                line.seconds.map(|s| s.to_string()).unwrap_or_default(),
                line.attempts.to_string(),
                line.fingerprint.clone().unwrap_or_default(),
                line.error_code.clone().unwrap_or_default(),
                line.error.clone().unwrap_or_default(),
                line.report.clone().unwrap_or_default(),
            ];
            let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

/// A cell; one that a spreadsheet would take for a formula is made text.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=cmd()"), "'=cmd()");
    }
}
