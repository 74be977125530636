//! Files with places of deleted rows: they name the files in which those lie, so they are written with the new names.
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, cast::AsArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use futures::StreamExt;
use iceberg::{
    arrow::ArrowFileReader,
    io::FileMetadata,
    spec::{DataFile, Datum},
};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY, ParquetRecordBatchStreamBuilder};
use sha2::{Digest, Sha256};

use super::{Carry, CopiedFile, manifests};
use crate::{Error, Kind, Result, Target, storage::failed};

/// The field id of the column that names files, by Iceberg's specification.
const FILE_PATH_ID: i32 = 2_147_483_546;

/// Writes the file anew; `None` if the files that it names are all gone.
pub(super) async fn rewrite(
    carry: &Carry,
    file: &DataFile,
    path: String,
    target: &Target,
    prefix: &str,
) -> Result<Option<CopiedFile>> {
    let source = file.file_path();
    let opened = async {
        let reader = carry.io.new_input(source)?.reader().await?;
        Ok::<_, iceberg::Error>(ArrowFileReader::new(FileMetadata { size: file.file_size_in_bytes() }, reader))
    };
    let reader = opened.await.map_err(|e| failed("open", source, e))?;
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|e| failed("read", source, e))?;
    let schema = builder.schema().clone();
    let named = |id: &str| id.parse() == Ok(FILE_PATH_ID);
    let column = schema.fields().iter().position(|field| {
        field.metadata().get(PARQUET_FIELD_ID_META_KEY).is_some_and(|id| named(id)) || field.name() == "file_path"
    });
    let column = column.ok_or_else(|| {
        Error::new(
            Kind::UnsupportedFeature,
            format!("`{source}` has no column that names files, as its table says it had"),
        )
    })?;
    let mut rows = builder.build().map_err(|e| failed("read", source, e))?;
    let encode = |e| failed("encode", &path, e);
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), None).map_err(encode)?;
    let (mut count, mut bounds): (u64, Option<(String, String)>) = (0, None);
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|e| failed("read", source, e))?;
        let batch = Names { carry, target, prefix }.apply(&batch, column)?;
        for name in cast(batch.column(column), &DataType::Utf8).map_err(misfit)?.as_string::<i32>().iter().flatten() {
            let (low, high) = bounds.get_or_insert_with(|| (name.to_owned(), name.to_owned()));
            if name < low.as_str() {
                name.clone_into(low);
            }
            if name > high.as_str() {
                name.clone_into(high);
            }
        }
        count += batch.num_rows() as u64;
        writer.write(&batch).map_err(encode)?;
    }
    let Some((low, high)) = bounds else { return Ok(None) };
    let content = writer.into_inner().map_err(encode)?;
    let (bytes, sha256) = (content.len() as u64, crate::write::hex(&Sha256::digest(&content)));
    target.storage.write(&path, content).await?;
    let one = (low == high).then(|| low.clone());
    let mut described = manifests::described(file, &path);
    let bound = |old: &std::collections::HashMap<i32, Datum>, name: &str| {
        let mut bounds = old.clone();
        bounds.insert(FILE_PATH_ID, Datum::string(name));
        bounds
    };
    described
        .record_count(count)
        .file_size_in_bytes(bytes)
        .column_sizes(manifests::none())
        .value_counts(manifests::none())
        .null_value_counts(manifests::none())
        .lower_bounds(bound(file.lower_bounds(), &low))
        .upper_bounds(bound(file.upper_bounds(), &high))
        .referenced_data_file(one);
    let file = manifests::built(&mut described)?;
    Ok(Some(CopiedFile { file: Some(file), path, bytes, sha256, rewritten: true }))
}

/// The new names of files.
struct Names<'a> {
    carry: &'a Carry,
    target: &'a Target,
    prefix: &'a str,
}

impl Names<'_> {
    /// A batch with the new names; rows that name files which are gone are left out.
    fn apply(&self, batch: &RecordBatch, column: usize) -> Result<RecordBatch> {
        let old = cast(batch.column(column), &DataType::Utf8).map_err(misfit)?;
        let (mut last, mut names) = (None, Vec::with_capacity(batch.num_rows()));
        for name in old.as_string::<i32>().iter() {
            // Rows come sorted by name: one look-up for many of them.
            if last.as_ref().is_none_or(|(known, _): &(Option<&str>, Option<String>)| *known != name) {
                last = Some((name, name.and_then(|name| self.carry.path(name, self.target, self.prefix))));
            }
            names.push(last.as_ref().and_then(|(_, new)| new.clone()));
        }
        let there: BooleanArray = names.iter().map(|name| Some(name.is_some())).collect();
        let names: ArrayRef = Arc::new(StringArray::from(names));
        let names = cast(&names, batch.column(column).data_type()).map_err(misfit)?;
        let mut columns = batch.columns().to_vec();
        columns[column] = names;
        let nullable = batch.schema();
        // Names that are gone are null here for a moment, which the schema does not permit.
        let fields: Vec<_> = nullable.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let loose = Arc::new(arrow_schema::Schema::new_with_metadata(fields, nullable.metadata().clone()));
        let all = RecordBatch::try_new(loose, columns).map_err(misfit)?;
        let kept = filter_record_batch(&all, &there).map_err(misfit)?;
        RecordBatch::try_new(nullable, kept.columns().to_vec()).map_err(misfit)
    }
}

fn misfit(cause: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, "places of deleted rows cannot be written anew").caused_by(cause)
}
