//! The fields that every job request has.
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, FieldError};

/// Which of the waiting jobs goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    High,
    /// As usual.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// The fields that every job request has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobOptions {
    /// How often the job is tried before it fails.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// How long one attempt may take, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// Which of the waiting jobs goes first.
    pub priority: Priority,
    /// Not before this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Names and values of your own, to find the job by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            timeout_seconds: None,
            priority: Priority::Normal,
            run_at: None,
            labels: BTreeMap::new(),
        }
    }
}

/// The most labels of one job, and the longest name or value in bytes.
const MAX_LABELS: usize = 32;
const MAX_LABEL_BYTES: usize = 128;

impl JobOptions {
    pub(crate) fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault = |field: String, detail: &str| {
            wrong.push(FieldError { field, code: Code::InvalidField, detail: detail.to_owned() });
        };
        if !(1..=100).contains(&self.max_attempts) {
            fault("max_attempts".into(), "must be from 1 to 100");
        }
        if self.timeout_seconds.is_some_and(|s| !(s > 0.0 && s <= 30.0 * 86_400.0)) {
            fault("timeout_seconds".into(), "must be more than 0 and at most 2592000 (30 days)");
        }
        if self.run_at.is_some_and(|at| at > Utc::now() + chrono::Duration::days(366)) {
            fault("run_at".into(), "must be within a year from now");
        }
        if self.labels.len() > MAX_LABELS {
            fault("labels".into(), "at most 32 labels");
        }
        for (name, value) in &self.labels {
            let plain = |text: &str| text.len() <= MAX_LABEL_BYTES && !text.chars().any(char::is_control);
            if name.is_empty() || name.contains([':', '=']) || !plain(name) || !plain(value) {
                fault(
                    format!("labels.{}", name.escape_debug().take(40).collect::<String>()),
                    "names and values have at most 128 bytes and no control characters; names are not empty and have no `:` or `=`",
                );
            }
        }
        wrong
    }
}
