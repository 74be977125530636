//! The worker's metrics: all names and labels in one place.
use icehaul_jobs::queue::{Finished, Outcome};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector};
use serde_json::Value;

/// What a worker counts.
#[derive(Clone)]
pub struct Metrics {
    /// Calls for jobs that Redis has answered.
    pub claims: IntCounter,
    /// Jobs under way in this process.
    pub running: IntGauge,
    /// Calls to Redis that failed, by what they were for.
    pub queue_errors: IntCounterVec,
    finished: IntCounterVec,
    duration: HistogramVec,
    rows: IntCounter,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// A name is taken by something else.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let attempts = "Attempts by how they ended: succeeded, retrying, failed, handed_back, cancelled or fenced";
        let buckets = vec![0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];
        let duration = HistogramOpts::new("icehaul_job_duration_seconds", "How long attempts ran").buckets(buckets);
        let count = |name, help| registered(registry, IntCounter::new(name, help)?);
        let errors = Opts::new("icehaul_queue_errors_total", "Calls to Redis that failed, by what they were for");
        Ok(Self {
            claims: count("icehaul_claims_total", "Calls for jobs that Redis has answered")?,
            running: registered(registry, IntGauge::new("icehaul_jobs_running", "Jobs under way")?)?,
            queue_errors: registered(registry, IntCounterVec::new(errors, &["call"])?)?,
            finished: registered(
                registry,
                IntCounterVec::new(Opts::new("icehaul_jobs_finished_total", attempts), &["kind", "status"])?,
            )?,
            duration: registered(registry, HistogramVec::new(duration, &["kind"])?)?,
            rows: count("icehaul_rows_loaded_total", "Rows that succeeded jobs have loaded")?,
        })
    }

    /// Counts the end of an attempt. `told` is what the queue was told, and what it said to that.
    pub fn ended(&self, kind: &str, seconds: f64, told: Option<(&Outcome, Finished)>) {
        let status = match told {
            None | Some((_, Finished::Fenced)) => "fenced",
            Some((Outcome::Succeeded(result), _)) => {
                self.rows.inc_by(result.get("rows_loaded").and_then(Value::as_u64).unwrap_or(0));
                "succeeded"
            }
            Some((Outcome::Retry { .. }, _)) => "retrying",
            Some((Outcome::Failed(_), _)) => "failed",
            Some((Outcome::HandBack { .. }, _)) => "handed_back",
            Some((Outcome::Cancelled, _)) => "cancelled",
        };
        self.finished.with_label_values(&[kind, status]).inc();
        self.duration.with_label_values(&[kind]).observe(seconds);
    }
}

fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: M) -> prometheus::Result<M> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_attempt_is_counted_by_kind_and_status() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("metrics");
        let done = Outcome::Succeeded(serde_json::json!({"rows_loaded": 5}));
        metrics.ended("load.postgres", 0.2, Some((&done, Finished::Recorded)));
        metrics.ended("load.postgres", 0.2, Some((&done, Finished::Fenced)));
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
        assert!(text.contains(r#"icehaul_jobs_finished_total{kind="load.postgres",status="succeeded"} 1"#), "{text}");
        assert!(text.contains(r#"icehaul_jobs_finished_total{kind="load.postgres",status="fenced"} 1"#), "{text}");
        assert!(text.contains("icehaul_rows_loaded_total 5"), "{text}");
    }
}
