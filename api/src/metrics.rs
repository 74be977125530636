//! Figures about requests, and the page that Prometheus reads.
use std::time::Duration;

use axum::http::{Method, StatusCode};
use icehaul_jobs::queue::Stats;
use prometheus::{
    Error, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
    proto::MetricFamily,
};

/// Counts and times requests.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, Error> {
        let requests = IntCounterVec::new(
            Opts::new("icehaul_http_requests_total", "Requests answered"),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("icehaul_http_request_duration_seconds", "Time until the answer begins")
                .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]),
            &["method", "route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { requests, seconds })
    }

    pub(crate) fn count(&self, method: &Method, route: &str, status: StatusCode, time: Duration) {
        // Callers choose the method freely; the label must not grow with them.
        let method = match *method {
            Method::GET | Method::HEAD | Method::POST | Method::DELETE => method.as_str(),
            _ => "OTHER",
        };
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.seconds.with_label_values(&[method, route]).observe(time.as_secs_f64());
    }
}

/// The queue's figures at this moment; `None` if the queue does not answer.
fn queue_figures(stats: Option<&Stats>) -> Result<Vec<MetricFamily>, Error> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str, value: f64| -> Result<(), Error> {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    gauge("icehaul_queue_up", "Whether the queue answers", f64::from(u8::from(stats.is_some())))?;
    let Some(stats) = stats else { return Ok(registry.gather()) };
    gauge("icehaul_queue_depth", "Jobs that wait for a worker now", stats.queue_depth as f64)?;
    gauge("icehaul_queue_oldest_wait_seconds", "Age of the oldest waiting job", stats.oldest_wait_seconds)?;
    gauge("icehaul_workers", "Workers heard of within a lease", stats.workers.len() as f64)?;
    let jobs = GaugeVec::new(Opts::new("icehaul_queue_jobs", "Jobs by status"), &["status"])?;
    registry.register(Box::new(jobs.clone()))?;
    for (status, count) in &stats.statuses {
        jobs.with_label_values(&[status]).set(*count as f64);
    }
    Ok(registry.gather())
}

/// The page that Prometheus reads.
pub(crate) fn page(registry: &Registry, stats: Option<&Stats>) -> Result<String, Error> {
    let mut families = registry.gather();
    families.extend(queue_figures(stats)?);
    TextEncoder::new().encode_to_string(&families)
}
