//! Files that were written under another schema than the table has now, and delete files of widened partitions: what
//! `iceberg` 0.10 alone gets wrong, some of it without a word.
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch, StringArray, StructArray, cast::AsArray, types::*};
use arrow_schema::{DataType, Field, Fields};
use iceberg::spec::{
    DataContentType, ListType, Literal, MapType, NestedField, PrimitiveType, Struct, StructType, TableMetadata, Type,
};

use super::*;

fn optional(id: i32, name: &str, of: PrimitiveType) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(of))
}

async fn rows(table: &Table, columns: &[&str]) -> RecordBatch {
    let columns = Some(columns.iter().map(|&name| name.to_owned()).collect());
    let batches = read(table, Scan { columns, ..Scan::default() }).await.expect("rows");
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).expect("one batch")
}

fn ints_of(batch: &RecordBatch, column: &str) -> Vec<Option<i32>> {
    batch.column_by_name(column).expect("the column").as_primitive::<Int32Type>().iter().collect()
}

/// Two columns that only their names and ids tell apart.
fn pairs() -> RecordBatch {
    let column = |values: [i32; 2]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
    batch(vec![("a", column([1, 2])), ("b", column([10, 20]))])
}

#[tokio::test]
async fn columns_of_one_type_are_not_taken_for_each_other() {
    let f = Fixture::new().await;
    let table = f.append("one", &pairs(), &[pairs()]).await;
    let turned = rows(&table, &["b", "a"]).await;
    assert_eq!((ints_of(&turned, "a"), ints_of(&turned, "b")), (vec![Some(1), Some(2)], vec![Some(10), Some(20)]));
    let int = |id, name| optional(id, name, PrimitiveType::Int);
    // Spark's ALTER COLUMN b FIRST.
    let moved = changed(&table, |metadata| with_schema(metadata, vec![int(2, "b"), int(1, "a")]));
    let moved = rows(&moved, &["b", "a"]).await;
    assert_eq!((ints_of(&moved, "a"), ints_of(&moved, "b")), (vec![Some(1), Some(2)], vec![Some(10), Some(20)]));
    // `a` dropped and added again, `c` new: neither has values in the file, whichever of them is asked for alone.
    let again = changed(&table, |metadata| with_schema(metadata, vec![int(2, "b"), int(3, "a"), int(4, "c")]));
    for columns in [&["a"][..], &["c"], &["a", "c"], &["c", "a"], &["a", "b", "c"]] {
        let rows = rows(&again, columns).await;
        for column in columns {
            let expected = if *column == "b" { vec![Some(10), Some(20)] } else { vec![None, None] };
            assert_eq!(ints_of(&rows, column), expected, "{column} of {columns:?}");
        }
    }
    let none_left = changed(&table, |metadata| with_schema(metadata, vec![int(5, "z")]));
    assert_eq!(ints_of(&rows(&none_left, &["z"]).await, "z"), [None, None]);
    assert_eq!(none_left.count(At::Current).await.expect("counted"), 2);
}

#[tokio::test]
async fn a_column_of_any_type_may_be_added_later() {
    let f = Fixture::new().await;
    let table = f.append("one", &ints(0..5), &[ints(0..5)]).await;
    let text = || Type::Primitive(PrimitiveType::String);
    let list = Type::List(ListType::new(NestedField::list_element(20, text(), false).into()));
    let map = Type::Map(MapType::new(
        NestedField::map_key_element(21, text()).into(),
        NestedField::map_value_element(22, list.clone(), false).into(),
    ));
    let row = Type::Struct(StructType::new(vec![
        optional(23, "day", PrimitiveType::Date).into(),
        optional(24, "key", PrimitiveType::Uuid).into(),
    ]));
    let other_list = Type::List(ListType::new(NestedField::list_element(25, text(), false).into()));
    let mut added: Vec<(&str, Type)> = [
        PrimitiveType::Boolean,
        PrimitiveType::Int,
        PrimitiveType::Long,
        PrimitiveType::Float,
        PrimitiveType::Double,
        PrimitiveType::Decimal { precision: 38, scale: 10 },
        PrimitiveType::Date,
        PrimitiveType::Time,
        PrimitiveType::Timestamp,
        PrimitiveType::Timestamptz,
        PrimitiveType::String,
        PrimitiveType::Uuid,
        PrimitiveType::Fixed(7),
        PrimitiveType::Binary,
    ]
    .map(|of| ("added", Type::Primitive(of)))
    .into();
    added.extend([("added", list), ("added", map), ("added", row), ("added", other_list)]);
    for (name, of) in added {
        let (spelled, primitive) = (of.to_string(), of.is_primitive());
        let table = changed(&table, |metadata| {
            let fields = vec![
                optional(1, "id", PrimitiveType::Int),
                NestedField::optional(3, name, of),
                optional(2, "text", PrimitiveType::String),
            ];
            with_schema(metadata, fields)
        });
        for columns in [&["id", name, "text"][..], &[name], &[name, "id"]] {
            let rows = rows(&table, columns).await;
            assert_eq!(rows.column_by_name(name).map(|column| column.null_count()), Some(5), "{spelled}");
        }
        // Filters name columns of primitive types only.
        let null = if primitive { Reference::new(name).is_null() } else { Predicate::AlwaysTrue };
        assert_eq!(ids(&table, null.and(id().less_than(Datum::int(3)))).await, Ok(vec![0, 1, 2]));
        assert_eq!(table.fingerprint(At::Current, None).await.expect(&spelled).rows(), 5);
    }
}

#[tokio::test]
async fn members_of_structs_are_found_by_id() {
    let f = Fixture::new().await;
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Int32, true)]);
    let column = |values: [Option<i32>; 3]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
    let members = vec![column([Some(1), None, None]), column([Some(10), Some(20), None])];
    let structs = StructArray::new(fields, members, Some(vec![true, true, false].into()));
    let given = batch(vec![("id", column([Some(0), Some(1), Some(2)])), ("s", Arc::new(structs))]);
    let table = f.append("one", &given, std::slice::from_ref(&given)).await;
    let Type::Struct(known) =
        table.metadata().current_schema().field_by_name("s").expect("s").field_type.as_ref().clone()
    else {
        panic!("a struct")
    };
    let id_of = |name: &str| known.field_by_name(name).expect("a member").id;
    let (x, y) = (id_of("x"), id_of("y"));
    let int = |id, name| Arc::new(optional(id, name, PrimitiveType::Int));
    let with = |members: Vec<Arc<NestedField>>| {
        changed(&table, |metadata| {
            let s = NestedField::optional(2, "s", Type::Struct(StructType::new(members)));
            with_schema(metadata, vec![optional(1, "id", PrimitiveType::Int), s])
        })
    };
    let member = async |table: &Table, name: &str| -> Vec<Option<i32>> {
        let rows = rows(table, &["id", "s"]).await;
        let s = rows.column(1).as_struct();
        assert_eq!((0..3).map(|row| s.is_null(row)).collect::<Vec<_>>(), [false, false, true]);
        let values = s.column_by_name(name).expect("a member").as_primitive::<Int32Type>();
        (0..3).map(|row| (s.is_valid(row) && values.is_valid(row)).then(|| values.value(row))).collect()
    };
    let turned = with(vec![int(y, "y"), int(x, "x")]);
    assert_eq!(
        (member(&turned, "x").await, member(&turned, "y").await),
        (vec![Some(1), None, None], vec![Some(10), Some(20), None])
    );
    let renamed = with(vec![int(x, "y"), int(y, "x")]);
    assert_eq!(member(&renamed, "y").await, [Some(1), None, None]);
    let added = with(vec![int(x, "x"), int(90, "new"), int(y, "y")]);
    assert_eq!(
        (member(&added, "new").await, member(&added, "y").await),
        (vec![None; 3], vec![Some(10), Some(20), None])
    );
    let again = with(vec![int(91, "x"), int(92, "y")]);
    assert_eq!((member(&again, "x").await, member(&again, "y").await), (vec![None; 3], vec![None; 3]));
    let dropped = with(vec![int(y, "y")]);
    assert_eq!(member(&dropped, "y").await, [Some(10), Some(20), None]);
}

/// The table after its column `id` became a long.
fn widened(metadata: TableMetadata) -> TableMetadata {
    with_schema(metadata, vec![optional(1, "id", PrimitiveType::Long), optional(2, "text", PrimitiveType::String)])
}

#[tokio::test]
async fn deletes_are_found_after_a_partition_column_was_widened() {
    let f = Fixture::new().await;
    let partitioned = |rows: &RecordBatch| TableSpec {
        name: name(),
        schema: rows.schema(),
        partition_by: vec!["id".parse().expect("a field")],
        schema_mode: SchemaMode::Evolve,
        compression: None,
        model: None,
    };
    let given = batch(vec![
        ("id", Arc::new(Int32Array::from(vec![7, 7, 8]))),
        ("text", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ]);
    let table = f.append_to("one", partitioned(&given), &[given]).await;
    let table = changed(&table, widened);
    let files: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    let seven = files.iter().find(|file| file.rows == 2).expect("the file of 7");
    let paths: ArrayRef = Arc::new(StringArray::from(vec![seven.path.as_str()]));
    let positions: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let position =
        delete_file(&table, "p.parquet", vec![("file_path", 2147483546, paths), ("pos", 2147483545, positions)])
            .content(DataContentType::PositionDeletes)
            .partition(Struct::from_iter([Some(Literal::long(7))]))
            .build()
            .expect("a file");
    let values: ArrayRef = Arc::new(StringArray::from(vec!["c"]));
    let equality = delete_file(&table, "e.parquet", vec![("text", 2, values)])
        .content(DataContentType::EqualityDeletes)
        .equality_ids(Some(vec![2]))
        .partition(Struct::from_iter([Some(Literal::long(8))]))
        .build()
        .expect("a file");
    let table = with_deletes(&table, vec![position, equality]).await;
    assert_eq!(table.count(At::Current).await.expect("counted"), 1);
    assert_eq!(ids(&table, Predicate::AlwaysTrue).await, Ok(vec![7]));
    assert_eq!(rows(&table, &["text"]).await.column(0).as_string::<i32>(), &StringArray::from(vec!["b"]));
    assert_eq!(ids(&table, id().equal_to(Datum::long(7))).await, Ok(vec![7]));
    let again: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    assert!(again.len() == 2 && again.iter().all(|file| file.has_deletes));
}
