//! A report from its first line on.
use chrono::Utc;
use serde::Serialize;

use super::{
    Attempts, Comparison, Fingerprints, Report, RowsCompared, SampleCompared, SchemaCompared, TableState, Tool,
    VERSION, Verdict,
};
use crate::Ctx;

/// What no comparison of fingerprints and figures covers.
#[must_use]
pub fn limits() -> Vec<String> {
    vec![
        "Distinct values of columns. Sums of floating-point columns: they depend on the order of the rows; the fingerprint \
         covers every bit of them, but that all NaNs are one."
            .to_owned(),
        "Tampering by someone who can choose rows at will: a sum of digests finds accidents, not an adversary.".to_owned(),
    ]
}

impl Report {
    /// A report that says nothing yet but what was asked.
    pub(crate) fn begin(ctx: &Ctx, id: String, kind: &str, request: &impl Serialize) -> Self {
        let now = Utc::now();
        Self {
            report_version: VERSION,
            migration_id: id,
            kind: kind.to_owned(),
            status: "success".into(),
            verdict: Verdict::NotCompared,
            summary: String::new(),
            schema_match: true,
            row_count_match: None,
            checksum_match: None,
            figures_match: None,
            sample_match: None,
            started_at: now,
            finished_at: now,
            duration_seconds: 0.0,
            tool: Tool::default(),
            source: TableState::default(),
            destination: TableState::default(),
            transfer: None,
            schema: SchemaCompared::default(),
            rows: RowsCompared::default(),
            fingerprints: Fingerprints::default(),
            files: None,
            columns: Vec::new(),
            sample: SampleCompared::default(),
            found: Vec::new(),
            differences: None,
            phases: Vec::new(),
            attempts: Attempts { attempt: ctx.attempt, epoch: ctx.epoch, ..Attempts::default() },
            not_checked: Vec::new(),
            verify_again: None,
            request: serde_json::to_value(request).unwrap_or_default(),
        }
    }

    /// Takes what was compared.
    pub(crate) fn take(&mut self, comparison: Comparison) {
        self.rows = RowsCompared { source: comparison.rows.0, destination: Some(comparison.rows.1) };
        self.row_count_match = Some(comparison.rows.0 == comparison.rows.1);
        self.checksum_match = Some(comparison.checksum_matches());
        self.figures_match = Some(comparison.figures_match());
        self.sample_match = comparison.sample_matches();
        let Comparison { fingerprints, columns, sample, .. } = comparison;
        (self.fingerprints, self.columns, self.sample) = (fingerprints, columns, sample);
    }

    /// The command that compares both sides again, as they were and in what was compared.
    pub(crate) fn command(&self) -> String {
        format!("icehaul verify --report {}", self.migration_id)
    }
}
