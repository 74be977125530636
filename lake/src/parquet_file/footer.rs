//! The footer: read in one request where it can be, checked before it is decoded, and what is known from it.
use std::{collections::HashMap, ops::Range, sync::Arc};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use bytes::Bytes;
use parquet::{
    arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema},
    file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader},
    schema::types::{SchemaDescriptor, Type},
};

use super::{
    Bounds, FileBytes, FileError, Result,
    shape::Shape,
    thrift::{Walk, kind},
    types::{Leaf, type_name},
    window,
};

/// The bytes of a file's end that are read at first.
const TAIL: u64 = 64 << 10;
const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED: &[u8; 4] = b"PARE";
/// Columns within columns.
const MAX_DEPTH: usize = 32;
/// The most row groups that the decoder can number.
const MAX_GROUPS: usize = i16::MAX as usize;

/// A Parquet file whose footer was read and found sound.
pub struct ParquetFile {
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) levels: FieldLevels,
    pub(super) shapes: Vec<Shape>,
    pub(super) bounds: Bounds,
    schema: SchemaRef,
    groups: Vec<RowGroup>,
}

/// A part of a file that can be read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroup {
    /// Its rows.
    pub rows: u64,
    /// Its compressed size.
    pub bytes: u64,
    /// Where each column's pages lie.
    pub(super) chunks: Vec<Range<u64>>,
}

/// A column, or a part of a nested one, whose type is not kept as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRemark {
    /// Its path.
    pub column: String,
    /// Its type in the file.
    pub source_type: String,
    /// Its type in the table.
    pub table_type: String,
    /// What that means for its values.
    pub note: &'static str,
}

impl ParquetFile {
    /// Reads and checks the footer.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub async fn open(file: &dyn FileBytes, bounds: Bounds) -> Result<Self> {
        let (footer, end) = footer(file, bounds.footer_bytes).await?;
        let decoded = tokio::task::spawn_blocking(move || Self::decode(&footer, end, bounds)).await;
        decoded.unwrap_or_else(|_| Err(FileError::invalid("has a footer that cannot be read")))
    }

    fn decode(footer: &Bytes, end: u64, bounds: Bounds) -> Result<Self> {
        check(footer, &bounds)?;
        let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(FileError::from)?;
        let descriptor = metadata.file_metadata().schema_descr();
        let leaves = leaves(descriptor)?;
        let (levels, read) = levels(descriptor, &leaves)?;
        let names: Vec<&str> = descriptor.root_schema().get_fields().iter().map(|field| field.name()).collect();
        check_columns(descriptor.root_schema(), &read, &names)?;
        let mut rest = leaves.iter().copied();
        let shapes = read.iter().map(|field| Shape::of(field, &mut rest)).collect::<Result<Vec<_>>>()?;
        let fields: Fields = shapes.iter().zip(&names).map(|(shape, name)| shape.field(name)).collect();
        check_names("", &fields)?;
        let groups = groups(&metadata, end)?;
        Ok(Self { metadata: Arc::new(metadata), levels, shapes, bounds, schema: Arc::new(Schema::new(fields)), groups })
    }

    /// The columns as they are to be in the table, all of them optional. A column without any value has the type `Null`.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The row groups, in order.
    #[must_use]
    pub fn row_groups(&self) -> &[RowGroup] {
        &self.groups
    }

    /// What must be said of columns whose type is not kept as it was.
    #[must_use]
    pub fn remarks(&self) -> Vec<TypeRemark> {
        let mut remarks = Vec::new();
        for (shape, field) in self.shapes.iter().zip(self.schema.fields()) {
            shape.leaves(field.name(), &mut |column, leaf| {
                if let Some(note) = leaf.note() {
                    let table_type = type_name(&leaf.field(&column));
                    remarks.push(TypeRemark { column, source_type: leaf.source(), table_type, note });
                }
            });
        }
        remarks
    }
}

/// The footer's bytes and where they begin.
async fn footer(file: &dyn FileBytes, most: usize) -> Result<(Bytes, u64)> {
    let size = file.size();
    if size == 0 {
        return Err(FileError::Empty);
    }
    if size < 12 {
        return Err(FileError::invalid(format!("is no Parquet file: it has {size} bytes only")));
    }
    let tail = window::read(file, size.saturating_sub(TAIL)..size).await?;
    let ending = tail.last_chunk::<8>().ok_or_else(|| FileError::invalid("gave fewer bytes than it has"))?;
    let [a, b, c, d, magic @ ..] = *ending;
    if &magic == ENCRYPTED {
        return Err(FileError::invalid("has an encrypted footer; encrypted Parquet cannot be read: write it without"));
    }
    if &magic != MAGIC {
        return Err(FileError::invalid("does not end as a Parquet file does: it is none, or it was cut off"));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > size - 12 {
        return Err(FileError::invalid(format!("is broken: it has {size} bytes and its footer claims {length}")));
    }
    if length > most as u64 {
        return Err(FileError::TooLarge(format!(
            "has a footer of {length} bytes; `limits.max_footer_bytes` permits {most}"
        )));
    }
    let begin = size - 8 - length;
    let here = tail.len() as u64 - 8;
    if length <= here {
        return Ok((tail.slice((here - length) as usize..here as usize), begin));
    }
    let mut all = Vec::with_capacity(length as usize);
    all.extend_from_slice(&window::read(file, begin..size - tail.len() as u64).await?);
    all.extend_from_slice(&tail[..here as usize]);
    Ok((all.into(), begin))
}

/// Walks over the encoded footer: nothing in it may make the decoder allocate or recurse beyond its own size.
fn check(footer: &[u8], bounds: &Bounds) -> Result<()> {
    let mut walk = Walk::new(footer);
    let mut last = 0;
    while let Some(field) = walk.field(last)? {
        last = field.id;
        match (field.id, field.kind) {
            (2, kind::LIST) => check_schema(&mut walk, bounds)?,
            (4, kind::LIST) => {
                let (size, element) = walk.list()?;
                if size > MAX_GROUPS {
                    return Err(FileError::invalid(format!("has {size} row groups; at most {MAX_GROUPS} can be read")));
                }
                (0..size).try_for_each(|_| walk.skip(element))?;
            }
            (2 | 4, _) => return Err(FileError::invalid("has a footer that cannot be read")),
            _ => walk.skip(field.kind)?,
        }
    }
    Ok(())
}

/// The schema is a tree in preorder; each element says how many children follow.
fn check_schema(walk: &mut Walk<'_>, bounds: &Bounds) -> Result<()> {
    let (size, element) = walk.list()?;
    let most = bounds.columns.saturating_mul(40);
    if size > most {
        return Err(FileError::TooManyColumns(format!("has a schema of {size} elements; at most {most} are read")));
    }
    if element != kind::STRUCT {
        return Err(FileError::invalid("has a footer that cannot be read"));
    }
    let mut open: Vec<i64> = Vec::new();
    for index in 0..size {
        let children = children(walk)?;
        if index == 0 && children > bounds.columns as i64 {
            let what = format!("has {children} columns; `limits.max_columns` permits {}", bounds.columns);
            return Err(FileError::TooManyColumns(what));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children < 0 || children > (size - index) as i64 {
            return Err(FileError::invalid(format!("is broken: its schema claims {children} columns within one")));
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_DEPTH {
            return Err(FileError::UnsupportedType(format!("has columns nested more than {MAX_DEPTH} deep")));
        }
    }
    Ok(())
}

fn children(walk: &mut Walk<'_>) -> Result<i64> {
    let (mut last, mut children) = (0, 0);
    while let Some(field) = walk.field(last)? {
        last = field.id;
        match (field.id, field.kind) {
            (5, kind::I32) => children = walk.integer()?,
            _ => walk.skip(field.kind)?,
        }
    }
    Ok(children)
}

fn leaves(descriptor: &SchemaDescriptor) -> Result<Vec<Leaf>> {
    let leaf = |column: &Arc<parquet::schema::types::ColumnDescriptor>| {
        Leaf::of(column.self_type())
            .map_err(|why| FileError::UnsupportedType(format!("column `{}` {why}", column.path().string())))
    };
    descriptor.columns().iter().map(leaf).collect()
}

/// How the decoder is to read, and the fields that it will give: the schema without the leaves' meanings.
fn levels(descriptor: &SchemaDescriptor, leaves: &[Leaf]) -> Result<(FieldLevels, Fields)> {
    let root = strip(descriptor.root_schema(), &mut leaves.iter())?;
    let stripped = SchemaDescriptor::new(Arc::new(root));
    let schema = parquet_to_arrow_schema(&stripped, None)?;
    let fields: Fields = schema.fields().iter().map(as_views).collect();
    Ok((parquet_to_arrow_field_levels(&stripped, ProjectionMask::all(), Some(&fields))?, fields))
}

fn strip<'a>(node: &Type, leaves: &mut impl Iterator<Item = &'a Leaf>) -> Result<Type> {
    let Type::GroupType { fields, .. } = node else {
        let leaf = leaves.next().ok_or_else(|| FileError::invalid("is broken: a column has no leaf"))?;
        return Ok(leaf.stripped(node)?);
    };
    let info = node.get_basic_info();
    let fields = fields.iter().map(|field| strip(field, leaves).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    let mut group = Type::group_type_builder(node.name()).with_fields(fields);
    if info.has_repetition() {
        group = group.with_repetition(info.repetition());
    }
    Ok(group.with_converted_type(info.converted_type()).with_logical_type(info.logical_type_ref().cloned()).build()?)
}

/// Text and bytes as views into the pages, which need not be copied.
fn as_views(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(as_views(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_views).collect()),
        DataType::Map(entries, sorted) => DataType::Map(as_views(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The decoder passes over groups without fields; a column must not go missing by that.
fn check_columns(root: &Type, fields: &Fields, names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Err(FileError::UnsupportedType("has no columns".into()));
    }
    let found: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    match root.get_fields().iter().find_map(|field| without_fields(field)) {
        Some(name) => Err(FileError::UnsupportedType(format!("column `{name}` is a group without fields"))),
        None if found == names => Ok(()),
        None => Err(FileError::UnsupportedType("has columns that cannot be read".into())),
    }
}

fn without_fields(node: &Type) -> Option<&str> {
    match node {
        Type::GroupType { fields, .. } if fields.is_empty() => Some(node.name()),
        Type::GroupType { fields, .. } => fields.iter().find_map(|field| without_fields(field)),
        Type::PrimitiveType { .. } => None,
    }
}

/// Engines that fold case could not tell columns whose names differ by case only.
fn check_names(path: &str, fields: &Fields) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in fields {
        let name = field.name().as_str();
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let what = format!("has two columns of one name: `{path}{other}` and `{path}{name}`; rename one of them");
            return Err(FileError::DuplicateColumn(what));
        }
        check_inside(&format!("{path}{name}."), field)?;
    }
    Ok(())
}

fn check_inside(path: &str, field: &Field) -> Result<()> {
    match field.data_type() {
        DataType::Struct(fields) => check_names(path, fields),
        DataType::List(inner) | DataType::Map(inner, _) => check_inside(path, inner),
        _ => Ok(()),
    }
}

fn groups(metadata: &ParquetMetaData, end: u64) -> Result<Vec<RowGroup>> {
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    let mut rows = 0_u64;
    for group in metadata.row_groups() {
        let own = u64::try_from(group.num_rows()).map_err(|_| negative())?;
        rows = rows.checked_add(own).ok_or_else(negative)?;
        // Writers say what they like of the places of no rows.
        let with_rows = group.columns().iter().filter(|_| own > 0);
        let chunks = with_rows.map(|column| range(column, end)).collect::<Result<Vec<_>>>()?;
        let bytes = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
        groups.push(RowGroup { rows: own, bytes, chunks });
    }
    let claimed = metadata.file_metadata().num_rows();
    if u64::try_from(claimed).ok() != Some(rows) {
        return Err(FileError::invalid(format!("is broken: its footer claims {claimed} rows, its row groups {rows}")));
    }
    check_apart(&groups)?;
    Ok(groups)
}

fn negative() -> FileError {
    FileError::invalid("is broken: its footer claims a number of rows that cannot be")
}

/// Where a column's pages lie. Some writers say 0 where there is no dictionary, or no page of values.
fn range(column: &ColumnChunkMetaData, end: u64) -> Result<Range<u64>> {
    let path = || column.column_path().string();
    if let Some(elsewhere) = column.file_path() {
        return Err(FileError::invalid(format!("keeps column `{}` in another file, `{elsewhere}`", path())));
    }
    let data = column.data_page_offset();
    let start = column.dictionary_page_offset().filter(|at| *at > 0 && (*at < data || data == 0)).unwrap_or(data);
    let (start, length) = (u64::try_from(start).ok(), u64::try_from(column.compressed_size()).ok());
    match start.zip(length).and_then(|(start, length)| Some(start..start.checked_add(length)?)) {
        Some(range) if range.end <= end && column.num_values() >= 0 => Ok(range),
        _ => Err(FileError::invalid(format!("is broken: column `{}` lies beyond the file's end", path()))),
    }
}

/// No byte may belong to two columns: a small file could else become a large one.
fn check_apart(groups: &[RowGroup]) -> Result<()> {
    let mut all: Vec<&Range<u64>> =
        groups.iter().flat_map(|group| &group.chunks).filter(|chunk| !chunk.is_empty()).collect();
    all.sort_unstable_by_key(|chunk| chunk.start);
    match all.windows(2).any(|pair| pair[0].end > pair[1].start) {
        true => Err(FileError::invalid("is broken: the pages of two columns overlap")),
        false => Ok(()),
    }
}
