//! Files that hold a column otherwise than the table does now: not at all, in another place, or with other members.
//!
//! `iceberg` 0.10 tells columns of one type apart by their order, fails on files without a column of bytes, fixed, time, list
//! or map type, and matches the members of structs by their place. So it is asked only for what a file has, as the file
//! has it; [`super::arrow::conform`] does the rest by field id.
use std::{collections::HashSet, sync::Arc};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema};
use iceberg::{
    Error, ErrorKind, Result,
    arrow::{ArrowFileReader, arrow_type_to_type},
    io::{FileIO, FileMetadata},
    scan::FileScanTask,
    spec::{
        ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, TableMetadata, Transform,
        Type,
    },
};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::arrow::id_of;

/// Whether a file of the table may hold these columns, which are in the table's order, otherwise than it does now.
pub fn may_differ(metadata: &TableMetadata, fields: &[&NestedFieldRef]) -> bool {
    // Old schemas may have been removed from the metadata, and files may have been added to a table as they were.
    let highest = metadata.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or(0);
    let complete = metadata.schemas_iter().len() as i64 == i64::from(highest) + 1;
    !complete
        || metadata.properties().contains_key("schema.name-mapping.default")
        || metadata.schemas_iter().any(|old| !is_read_rightly(old, fields))
}

/// Whether the crate reads files of this schema as they are meant.
fn is_read_rightly(old: &Schema, fields: &[&NestedFieldRef]) -> bool {
    let mut places = Vec::new();
    for field in fields {
        match old.as_struct().fields().iter().position(|old| old.id == field.id) {
            Some(place) if field.field_type.is_primitive() => places.push(place),
            Some(place) if old.as_struct().fields()[place].field_type == field.field_type => places.push(place),
            None if is_made_up_rightly(&field.field_type) => {}
            _ => return false,
        }
    }
    !places.is_empty() && places.is_sorted()
}

/// Whether the crate can make up nulls of the type.
fn is_made_up_rightly(of: &Type) -> bool {
    let Type::Primitive(primitive) = of else { return false };
    !matches!(primitive, PrimitiveType::Binary | PrimitiveType::Fixed(_) | PrimitiveType::Uuid | PrimitiveType::Time)
}

/// The task that asks a file only for what it has.
///
/// # Errors
/// The file cannot be read.
pub async fn fit(task: FileScanTask, io: &FileIO) -> Result<FileScanTask> {
    let given = file_schema(&task, io).await?;
    let table = task.schema.as_struct();
    let constants: HashSet<i32> =
        task.partition_spec.iter().flat_map(|spec| spec.fields()).filter_map(identity).collect();
    let ids = ids_of(&given, &task);
    let mut fields = table.fields().to_vec();
    let mut project = Vec::new();
    for (id, file) in ids.iter().zip(given.fields()) {
        let asked = id.filter(|id| task.project_field_ids.contains(id));
        let Some(place) = fields.iter().position(|field| Some(field.id) == asked) else { continue };
        fields[place] = Arc::new(shaped(&fields[place], file)?);
        project.push(fields[place].id);
    }
    let constant = task.project_field_ids.iter().filter(|id| constants.contains(id) && !ids.contains(&Some(**id)));
    project.extend(constant);
    if project.is_empty() {
        // Something must be read, so that rows are counted; it finds no place in the result.
        let there = fields.iter().find(|field| field.field_type.is_primitive() && ids.contains(&Some(field.id)));
        project.extend(there.map(|field| field.id));
    }
    let schema = Schema::builder().with_schema_id(task.schema.schema_id()).with_fields(fields).build()?;
    Ok(FileScanTask { schema: Arc::new(schema), project_field_ids: project, ..task })
}

fn identity(field: &iceberg::spec::PartitionField) -> Option<i32> {
    (field.transform == Transform::Identity).then_some(field.source_id)
}

/// The file's columns, with the field ids that it holds.
async fn file_schema(task: &FileScanTask, io: &FileIO) -> Result<ArrowSchema> {
    let input = io.new_input(&task.data_file_path)?;
    let mut reader = ArrowFileReader::new(FileMetadata { size: task.file_size_in_bytes }, input.reader().await?);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await.map_err(|cause| {
        Error::new(ErrorKind::Unexpected, format!("it has no footer that can be read: {cause}")).with_source(cause)
    })?;
    Ok(metadata.schema().as_ref().clone())
}

/// The field id of each of the file's columns: its own, by the table's name mapping, or by its place.
fn ids_of(file: &ArrowSchema, task: &FileScanTask) -> Vec<Option<i32>> {
    let own = |field: &FieldRef| id_of(field);
    if file.fields().first().is_some_and(|field| own(field).is_some()) {
        return file.fields().iter().map(own).collect();
    }
    let Some(mapping) = &task.name_mapping else { return (1..).map(Some).take(file.fields().len()).collect() };
    let mapped = |field: &FieldRef| mapping.fields().iter().find(|known| known.names().contains(field.name()));
    file.fields().iter().map(|field| mapped(field).and_then(|known| known.field_id())).collect()
}

/// A column of the table with the members that the file has, in the file's order. One that lacks ids is taken to be alike.
fn shaped(table: &NestedField, file: &Field) -> Result<NestedField> {
    let of = match (table.field_type.as_ref(), file.data_type()) {
        (Type::Struct(members), DataType::Struct(given)) if given.iter().all(|member| id_of(member).is_some()) => {
            Type::Struct(shaped_struct(members, given)?)
        }
        (Type::List(list), DataType::List(item)) if id_of(item).is_some() => {
            Type::List(ListType::new(Arc::new(shaped(&list.element_field, item)?)))
        }
        (Type::Map(map), DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 && pair.iter().all(|part| id_of(part).is_some()) => {
                let key = Arc::new(shaped(&map.key_field, &pair[0])?);
                Type::Map(MapType::new(key, Arc::new(shaped(&map.value_field, &pair[1])?)))
            }
            _ => return Ok(table.clone()),
        },
        _ => return Ok(table.clone()),
    };
    Ok(NestedField { field_type: Box::new(of), ..table.clone() })
}

fn shaped_struct(members: &StructType, file: &Fields) -> Result<StructType> {
    let mut fields = Vec::new();
    for given in file {
        if let Some(member) = members.fields().iter().find(|member| Some(member.id) == id_of(given)) {
            fields.push(Arc::new(shaped(member, given)?));
        }
    }
    if fields.is_empty() {
        // Only a member tells where the struct itself is null, also one that the table has no more.
        let carrier =
            file.iter().find(|given| !given.data_type().is_nested()).and_then(|given| Some((id_of(given)?, given)));
        let Some((id, given)) = carrier else {
            return Err(Error::new(ErrorKind::FeatureUnsupported, "a struct all of whose members were replaced"));
        };
        let of = arrow_type_to_type(given.data_type())?;
        fields.push(Arc::new(NestedField::new(id, given.name(), of, !given.is_nullable())));
    }
    Ok(StructType::new(fields))
}
