//! A migration's result, under the keys of the older systems and its own.
use serde_json::{Value, json};

use crate::report::Report;

pub(in crate::job) fn of(report: &Report) -> Value {
    let (source, destination) = (&report.source, &report.destination);
    let transfer = report.transfer.as_ref();
    let fingerprints = &report.fingerprints;
    json!({
        "status": report.status,
        "source": source.table,
        "destination": destination.table,
        "rows_migrated": transfer.map(|transfer| transfer.rows),
        "unchanged": transfer.is_some_and(|transfer| transfer.unchanged),
        "snapshots": transfer.and_then(|transfer| transfer.snapshots),
        "changes": transfer.and_then(|transfer| transfer.changes.as_ref()),
        "duration_seconds": report.duration_seconds,
        "migration_id": report.migration_id,
        "verdict": report.verdict,
        "summary": report.summary,
        "rows_source": report.rows.source,
        "rows_destination": report.rows.destination,
        "row_count_match": report.row_count_match,
        "column_count": report.schema.columns.iter().filter(|column| column.source.is_some()).count(),
        "schema_match": report.schema_match,
        "source_checksum": fingerprints.source,
        "destination_checksum": fingerprints.destination,
        "checksum_match": report.checksum_match,
        "sample_match": report.sample_match,
        "source_catalog": source.catalog,
        "dest_catalog": destination.catalog,
        "source_snapshot": source.snapshot_id,
        "destination_snapshot": destination.snapshot_id,
        "snapshot_id": destination.snapshot_id,
        "files_written": destination.files,
        "bytes_written": destination.bytes,
        "fingerprint": fingerprints.destination,
        "report": format!("/api/v1/migrations/{}/report", report.migration_id),
    })
}
