//! The parts of a page.
use icehaul_jobs::report::{Report, RowCompared, TableState};
use icehaul_lake::measure::{ColumnFigures, DifferingRow, PartitionsDiffering, SampledRow};

use super::{
    bars::{Bar, bars},
    escaped, number,
    table::{Cell, table},
};

/// The most files that the page shows; the JSON has more.
const FILES: usize = 200;

pub(super) fn section(title: &str, content: &str) -> String {
    format!("<h2>{}</h2>\n{content}", escaped(title))
}

/// What was compared, and how it came out.
pub(super) fn checks(report: &Report) -> String {
    let line = |what: &str, holds: Option<bool>, detail: String| {
        (holds != Some(false), vec![Cell::text(what), Cell::verdict(holds), Cell::text(detail)])
    };
    let differing = report.schema.columns.iter().filter(|column| !column.matches).count();
    let schema = match differing {
        0 => format!("{} columns, names, types and nullability", report.schema.columns.len()),
        n if report.schema_match => {
            format!("{n} of {} columns differ, as the mode permits", report.schema.columns.len())
        }
        n => format!("{n} of {} columns differ", report.schema.columns.len()),
    };
    let rows = |n: Option<u64>| n.map_or_else(|| "—".to_owned(), number);
    let counts =
        format!("{} in the source, {} in the destination", number(report.rows.source), rows(report.rows.destination));
    let equal = report.sample.rows.iter().filter(|row| row.matches).count();
    if let Some(files) = &report.files {
        let how = if files.matches.is_some() { "read back and compared byte by byte" } else { "not read back" };
        let detail = format!("{} files, {} bytes, {how}", number(files.files), number(files.bytes));
        let rows = [line("Columns", Some(report.schema_match), schema), line("Files", files.matches, detail)];
        return section("What was compared", &table(&["Check", "Outcome", "Of what"], rows));
    }
    let rows = [
        line("Columns", Some(report.schema_match), schema),
        line("Rows", report.row_count_match, counts),
        line(
            "Fingerprints",
            report.checksum_match,
            format!(
                "SHA-256 of every row of {} columns, summed: no value may differ",
                report.fingerprints.columns.len()
            ),
        ),
        line("Column figures", report.figures_match, "values, nulls, bounds and sums of each column".into()),
        line(
            "Sampled rows",
            report.sample_match,
            format!("{equal} of {} equal, value by value", report.sample.rows.len()),
        ),
    ];
    section("What was compared", &table(&["Check", "Outcome", "Of what"], rows))
}

/// Rows and times as bars.
pub(super) fn figures(report: &Report) -> String {
    let rows = |name: &str, n: u64| Bar { name: name.into(), value: n as f64, label: format!("{} rows", number(n)) };
    let mut counts = vec![rows("source", report.rows.source)];
    counts.extend(report.rows.destination.map(|n| rows("destination", n)));
    let times: Vec<_> = report
        .phases
        .iter()
        .map(|phase| {
            let rate =
                phase.rows.filter(|rows| *rows > 0 && phase.seconds > 0.0).map(|rows| rows as f64 / phase.seconds);
            let rate = rate.map(|rate| format!(" · {} rows/s", number(rate as u64))).unwrap_or_default();
            Bar { name: phase.name.clone(), value: phase.seconds, label: format!("{} s{rate}", phase.seconds) }
        })
        .collect();
    section("Rows", &bars("Rows on both sides", &counts)) + &section("Time", &bars("Seconds of each step", &times))
}

/// Which tables, at which snapshots.
pub(super) fn identity(report: &Report) -> String {
    let (here, there) = (&report.source, &report.destination);
    let mut rows = Vec::new();
    let mut line = |what: &str, of: &dyn Fn(&TableState) -> Option<String>| {
        let cells = vec![Cell::text(what), Cell::id(of(here).as_deref()), Cell::id(of(there).as_deref())];
        rows.push((true, cells));
    };
    line("Catalog", &|table| Some(table.catalog.clone()));
    line("Table", &|table| Some(table.table.clone()));
    line("Table id", &|table| table.uuid.map(|id| id.to_string()));
    line("Snapshot", &|table| table.snapshot_id.clone());
    line("Committed at", &|table| table.snapshot_at.map(|at| at.to_rfc3339()));
    line("Snapshot before", &|table| table.snapshot_before.clone());
    line("Format version", &|table| table.format_version.map(|version| version.to_string()));
    line("Location", &|table| table.location.clone());
    line("Metadata", &|table| table.metadata_location.clone());
    line("Files", &|table| Some(format!("{}, {} bytes", number(table.files), number(table.bytes))));
    let prints = &report.fingerprints;
    let cells =
        vec![Cell::text("Fingerprint"), Cell::id(prints.source.as_deref()), Cell::id(prints.destination.as_deref())];
    rows.push((report.checksum_match != Some(false), cells));
    for (what, texts) in [("Partitioning", &report.schema.partitioning), ("Sort order", &report.schema.sort_order)] {
        let cells = vec![Cell::text(what), Cell::id(texts.source.as_deref()), Cell::id(texts.destination.as_deref())];
        rows.push((true, cells));
    }
    let mut text = table(&["", "Source", "Destination"], rows);
    if let Some(transfer) = &report.transfer {
        let published = match (transfer.published, transfer.unchanged) {
            (true, false) => "published",
            (true, true) => "no snapshot was made: there was nothing to copy",
            (false, _) => "not published: the destination is as it was",
        };
        let made = if transfer.created { "new table" } else { "existing table" };
        let line = format!("Mode {}, copied by {}, {made}, {published}.", transfer.mode, transfer.copy);
        text.push_str(&format!("<p>{}</p>\n", escaped(&line)));
    }
    if !report.schema.properties_left_out.is_empty() {
        let line = format!("Properties not taken over: {}.", report.schema.properties_left_out.join(", "));
        text.push_str(&format!("<p class=\"soft\">{}</p>\n", escaped(&line)));
    }
    section("Tables", &text)
}

/// Column by column: the types and the figures of both sides.
pub(super) fn columns(report: &Report) -> String {
    let rows = report.schema.columns.iter().map(|column| {
        let figures = report.columns.iter().find(|figures| figures.column == column.name);
        let kind = column.source.as_ref().or(column.destination.as_ref()).map(|column| column.sql_type.clone());
        let equal = figures.and_then(|figures| figures.matches);
        let of = |get: fn(&ColumnFigures) -> Option<String>| {
            let Some(figures) = figures else { return "—".to_owned() };
            let (here, there) = (get(&figures.source), figures.destination.as_ref().and_then(get));
            match here == there || figures.destination.is_none() {
                true => here.unwrap_or_else(|| "—".to_owned()),
                false => format!("{} ≠ {}", here.unwrap_or_else(|| "—".into()), there.unwrap_or_else(|| "—".into())),
            }
        };
        let cells = vec![
            Cell::text(&column.name),
            Cell::text(kind.unwrap_or_default()),
            Cell::verdict(Some(column.matches && equal != Some(false)).filter(|_| equal.is_some() || !column.matches)),
            Cell(escaped(&of(|figures| Some(number(figures.nulls)))), "n"),
            Cell::id(Some(&of(|figures| figures.min.clone()))),
            Cell::id(Some(&of(|figures| figures.max.clone()))),
            Cell::id(Some(&of(|figures| figures.sum.clone()))),
            Cell::text(column.differences.join(", ")),
        ];
        (column.matches && equal != Some(false), cells)
    });
    section("Columns", &table(&["Column", "Type", "", "Nulls", "Least", "Greatest", "Sum", ""], rows))
}

/// The files and their copies.
pub(super) fn files(report: &Report) -> String {
    let Some(files) = &report.files else { return String::new() };
    let rows = files.list.iter().take(FILES).map(|file| {
        let what = if file.rewritten { format!("{}, written anew", file.content) } else { file.content.clone() };
        let cells = vec![
            Cell::id(Some(&file.source)),
            Cell::id(Some(&file.destination)),
            Cell::text(what),
            Cell::number(Some(file.bytes)),
            Cell::id(Some(&file.sha256)),
            Cell::verdict(file.sha256_read_back.is_some().then(|| file.matches())),
        ];
        (file.matches(), cells)
    });
    let text = table(&["File", "Copy", "Holds", "Bytes", "SHA-256", ""], rows);
    let more = files.files.saturating_sub(files.list.len().min(FILES) as u64);
    let more = if more > 0 { format!("<p class=\"soft\">And {} more.</p>\n", number(more)) } else { String::new() };
    section("Files", &(text + &more))
}

/// The rows that were drawn.
pub(super) fn sample(report: &Report) -> String {
    if report.sample.rows.is_empty() {
        return String::new();
    }
    let mut header = vec![""];
    header.extend(report.sample.columns.iter().map(String::as_str));
    let values = |row: &SampledRow| -> Vec<Cell> {
        row.values.iter().map(|value| value.as_ref().map_or(Cell("null".into(), "soft"), Cell::text)).collect()
    };
    let line = |side: &str, holds: bool, row: &SampledRow| {
        let mut cells = vec![Cell::text(side)];
        cells.extend(values(row));
        (holds, cells)
    };
    let rows = report.sample.rows.iter().flat_map(|RowCompared { source, destination, matches }| {
        match (source, destination) {
            (Some(row), Some(_)) if *matches => vec![line("both", true, row)],
            (here, there) => {
                let here = here.as_ref().map(|row| line(&format!("source × {}", row.count), false, row));
                let there = there.as_ref().map(|row| line(&format!("destination × {}", row.count), false, row));
                here.into_iter().chain(there).collect()
            }
        }
    });
    let method = format!("<p class=\"soft\">{}</p>\n", escaped(&report.sample.method));
    section("Sampled rows", &(method + &table(&header, rows)))
}

/// What differs, and the first differing rows.
pub(super) fn differences(report: &Report) -> String {
    if report.found.is_empty() {
        return String::new();
    }
    let items: String = report.found.iter().map(|text| format!("<li>{}</li>\n", escaped(text))).collect();
    let mut text = format!("<ul>\n{items}</ul>\n");
    if let Some(rows) = &report.differences {
        let mut header = vec!["", "In source", "In destination"];
        header.extend(rows.columns.iter().map(String::as_str));
        let line = |side: &str, row: &DifferingRow, parted: &[String]| {
            let mut cells =
                vec![Cell::text(side), Cell::number(Some(row.source_count)), Cell::number(Some(row.destination_count))];
            cells.extend(rows.columns.iter().zip(&row.values).map(|(name, value)| {
                let class = if parted.contains(name) { "no" } else { "" };
                Cell(value.as_ref().map_or_else(|| "<i>null</i>".to_owned(), |text| escaped(text)), class)
            }));
            (true, cells)
        };
        let lines = rows.pairs.iter().flat_map(|pair| {
            let here = pair.source.as_ref().map(|row| line("source", row, &pair.columns));
            let there = pair.destination.as_ref().map(|row| line("destination", row, &pair.columns));
            here.into_iter().chain(there)
        });
        text.push_str(&table(&header, lines));
        let all = if rows.complete { "These are all." } else { "There are more." };
        let told = format!(
            "{} of {} buckets differ; in {} of them the rows were compared one by one, and {} rows of either side are not as often on the \
             other. {all}",
            number(rows.differing_buckets),
            number(rows.buckets),
            number(rows.examined_buckets),
            number(rows.differing_rows),
        );
        text.push_str(&format!("<p class=\"soft\">{}</p>\n", escaped(&told)));
        text.push_str(&rows.partitions.as_ref().map(partitions).unwrap_or_default());
    }
    section("What differs", &text)
}

/// The partitions that differ.
fn partitions(found: &PartitionsDiffering) -> String {
    let told = format!(
        "{} of {} partitions differ ({}).",
        number(found.differing),
        number(found.partitions),
        found.by.to_lowercase()
    );
    let rows = found.first.iter().map(|partition| {
        let rows = [partition.source_rows, partition.destination_rows].map(|rows| Cell::number(Some(rows)));
        (true, [Cell::text(&partition.partition)].into_iter().chain(rows).collect())
    });
    format!("<p>{}</p>\n", escaped(&told)) + &table(&["Partition", "Rows in source", "Rows in destination"], rows)
}

/// What the report does not vouch for.
pub(super) fn not_checked(report: &Report) -> String {
    let items: String = report.not_checked.iter().map(|text| format!("<li>{}</li>\n", escaped(text))).collect();
    section("What was not checked", &format!("<ul>\n{items}</ul>\n"))
}

/// How to check again, and what was asked.
pub(super) fn again(report: &Report) -> String {
    let command = report.verify_again.as_deref().map_or_else(
        || "<p>The rows cannot be read again apart from others, or not in the same state.</p>\n".to_owned(),
        |command| format!("<pre>{}</pre>\n", escaped(command)),
    );
    let request = serde_json::to_string_pretty(&report.request).unwrap_or_default();
    section("Check again", &command) + &section("Request", &format!("<pre>{}</pre>\n", escaped(&request)))
}
