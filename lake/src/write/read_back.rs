//! Reads closed files back before they are part of a table, to compare them with what was to be written.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_schema::{Fields, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};
use iceberg::{arrow::ArrowFileReader, io::FileMetadata};
use parquet::{
    arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask},
    schema::{
        printer::print_schema,
        types::{SchemaDescriptor, TypePtr},
    },
};

use super::{Layout, WrittenFile, conform::Conform};
use crate::{Batches, Error, Kind, Result, storage::failed};

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// The rows of a file with the types of `rows`, the schema they were written from.
pub(crate) async fn read_back(
    layout: &Arc<Layout>,
    rows: &SchemaRef,
    file: &WrittenFile,
    columns: Option<&[String]>,
) -> Result<Batches> {
    let path = file.path().to_owned();
    let opened = async {
        let reader = layout.storage.io().new_input(&path)?.reader().await?;
        Ok(ArrowFileReader::new(FileMetadata { size: file.bytes() }, reader))
    };
    let reader = opened.await.map_err(|e: iceberg::Error| failed("open", &path, e))?;
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|e| failed("read", &path, e))?;
    compare(&layout.parquet, builder.parquet_schema(), &path)?;
    let wanted = project(rows, columns)?;
    let names: Vec<&str> = wanted.fields().iter().map(|field| field.name().as_str()).collect();
    let roots =
        builder.schema().fields().iter().enumerate().filter(|(_, field)| names.contains(&field.name().as_str()));
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(index, _)| index));
    let stream =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| failed("read", &path, e))?;
    let conform = Conform::new(stream.schema(), &wanted, |_| true);
    let batches = stream.map(move |batch| conform.apply(&batch.map_err(|e| failed("read", &path, e))?));
    Ok(Batches { schema: wanted, stream: batches.boxed() })
}

/// The rows of several files as several streams that share the work: a stream takes the next file when it has read its last.
pub(crate) fn read_back_parallel(
    layout: &Arc<Layout>,
    rows: &SchemaRef,
    files: &[WrittenFile],
    columns: Option<&[String]>,
    streams: usize,
) -> Result<Vec<Batches>> {
    let schema = project(rows, columns)?;
    let next = Arc::new(Mutex::new(VecDeque::from(files.to_vec())));
    let columns = columns.map(<[String]>::to_vec);
    let stream = |_| {
        let state = (layout.clone(), rows.clone(), columns.clone(), next.clone());
        let files = futures::stream::try_unfold(state, |state| async move {
            let (layout, rows, columns, next) = &state;
            let file = next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(file) = file else { return Ok::<_, Error>(None) };
            let batches = read_back(layout, rows, &file, columns.as_deref()).await?;
            Ok(Some((batches.stream, state)))
        });
        Batches { schema: schema.clone(), stream: files.try_flatten().boxed() }
    };
    Ok((0..streams.max(1)).map(stream).collect())
}

/// Refuses a file whose columns have other types, names or field ids than were written: its values may be equal here, and be
/// something else for other readers.
fn compare(written: &SchemaDescriptor, there: &SchemaDescriptor, path: &str) -> Result<()> {
    let (written, there) = (written.root_schema().get_fields(), there.root_schema().get_fields());
    let differing = (0..written.len().max(there.len())).find(|place| written.get(*place) != there.get(*place));
    let Some((written, there)) = differing.map(|place| (written.get(place), there.get(place))) else { return Ok(()) };
    let name = written.or(there).map_or("", |field| field.name());
    let message =
        format!("column `{name}`: the file `{path}` holds {} where {} was written", shown(there), shown(written));
    Err(Error::new(Kind::FileAltered, message))
}

fn shown(field: Option<&TypePtr>) -> String {
    let Some(field) = field else { return "nothing".to_owned() };
    let mut text = Vec::new();
    print_schema(&mut text, field);
    let text = String::from_utf8_lossy(&text);
    let words: Vec<_> = text.split_whitespace().collect();
    format!("`{}`", words.join(" ").trim_end_matches(';'))
}

fn project(rows: &SchemaRef, columns: Option<&[String]>) -> Result<SchemaRef> {
    let Some(columns) = columns else { return Ok(rows.clone()) };
    let field = |name: &String| {
        let index = rows
            .index_of(name)
            .map_err(|_| Error::new(Kind::SchemaMismatch, format!("column `{name}` is not among the rows' columns")))?;
        Ok(rows.fields()[index].clone())
    };
    Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Fields>>()?)))
}
