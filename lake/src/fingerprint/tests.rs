//! The vectors shared with Python, the promises as properties, and Arrow's layouts.
use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::json::ReaderBuilder;
use proptest::prelude::*;
use serde_json::Value;

use super::{Fingerprint, Hasher, class, normal};
use crate::{Kind, Result};

fn of(batch: &RecordBatch) -> Fingerprint {
    try_of(batch).expect("a fingerprint")
}

fn try_of(batch: &RecordBatch) -> Result<Fingerprint> {
    let mut hasher = Hasher::new(&batch.schema(), None)?;
    hasher.add(batch)?;
    Ok(hasher.finish())
}

fn one(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, array, true)]).expect("a batch")
}

/// The Arrow field that holds a class of the vectors.
fn field(name: &str, class: &Value) -> Field {
    let nested = |class: &Value| Arc::new(field("item", class));
    let data_type = match class.as_str().or_else(|| class[0].as_str()).expect("a class") {
        "boolean" => DataType::Boolean,
        "integer" => DataType::Int64,
        "float" => DataType::Float64,
        "decimal" => DataType::Decimal128(38, 10),
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "uuid" => DataType::FixedSizeBinary(16),
        "list" => DataType::List(nested(&class[1])),
        "struct" => {
            let members = class[1].as_array().expect("fields").iter();
            DataType::Struct(members.map(|m| field(m[0].as_str().expect("a name"), &m[1])).collect())
        }
        "map" => {
            let pair = [field("key", &class[1]).with_nullable(false), field("value", &class[2])];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into_iter().collect()), false)), false)
        }
        other => panic!("no such class: {other}"),
    };
    let uuid = class == "uuid";
    let metadata = uuid.then(|| HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]));
    Field::new(name, data_type, true).with_metadata(metadata.unwrap_or_default())
}

fn vectors() -> Vec<Value> {
    let text = include_str!("../../../tests/py/fingerprint_vectors.json");
    serde_json::from_str(text).expect("the vectors")
}

/// The rows of a vector as Arrow.
fn batch(vector: &Value) -> RecordBatch {
    let columns = vector["columns"].as_array().expect("columns").iter();
    let fields: Vec<Field> = columns.map(|c| field(c[0].as_str().expect("a name"), &c[1])).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let mut rows = vector["rows"].as_array().expect("rows").clone();
    // The JSON reader takes bytes as plain hex.
    for row in &mut rows {
        if let Some(Value::String(uuid)) = row.get_mut("u") {
            *uuid = uuid.replace('-', "");
        }
    }
    let mut decoder = ReaderBuilder::new(schema.clone()).build_decoder().expect("a decoder");
    decoder.serialize(&rows).expect("rows of the schema");
    decoder.flush().expect("rows").unwrap_or_else(|| RecordBatch::new_empty(schema))
}

#[test]
fn the_vectors_are_met() {
    for vector in vectors() {
        let batch = batch(&vector);
        let members = class::members(batch.schema().fields()).expect("classes");
        let columns: Vec<_> = members
            .iter()
            .map(|m| normal::column(batch.column(m.index), &m.class, &m.name).expect("a column"))
            .collect();
        let messages: Vec<String> = (0..batch.num_rows())
            .map(|row| {
                let mut message = Vec::new();
                columns.iter().for_each(|column| column.append(row, &mut message));
                message.iter().map(|byte| format!("{byte:02x}")).collect()
            })
            .collect();
        assert_eq!(Value::from(messages), vector["messages"], "{}", vector["name"]);
        let text = of(&batch).to_string();
        assert_eq!(Value::from(text.clone()), vector["fingerprint"], "{}", vector["name"]);
        assert_eq!(text.parse::<Fingerprint>().expect("its own text").to_string(), text);
    }
}

#[test]
fn a_promoted_or_differently_laid_out_column_keeps_its_fingerprint() {
    let cast = |array: &ArrayRef, to: &DataType| arrow_cast::cast(array, to).expect("a cast");
    let same = |array: ArrayRef, types: &[DataType]| {
        let expected = of(&one("c", array.clone()));
        for to in types {
            assert_eq!(of(&one("c", cast(&array, to))), expected, "{to}");
            // A slice must not show what lies before it.
            let longer = arrow_select::concat::concat(&[&cast(&array, to), &cast(&array, to)]).expect("both");
            assert_eq!(of(&one("c", longer.slice(array.len(), array.len()))), expected, "sliced {to}");
        }
    };
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
    let list = |item| Arc::new(Field::new("element", item, true));
    use DataType::{
        Binary, BinaryView, Date32, Date64, Decimal64, Decimal128, FixedSizeBinary, FixedSizeList, Float16, Float32,
        Int8, Int16, Int32, LargeBinary, LargeList, LargeUtf8, List, Time32, Time64, Timestamp, UInt8, UInt32,
        Utf8View,
    };
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(100)]));
    same(integers.clone(), &[Int8, Int16, Int32, UInt8, UInt32, dictionary(Int32)]);
    same(cast(&integers, &Date32), &[Date64]);
    same(
        cast(&cast(&integers, &Int32), &Time32(TimeUnit::Second)),
        &[Time32(TimeUnit::Millisecond), Time64(TimeUnit::Nanosecond)],
    );
    let moments = cast(&integers, &Timestamp(TimeUnit::Second, None));
    same(moments, &[Timestamp(TimeUnit::Millisecond, None), Timestamp(TimeUnit::Nanosecond, None)]);
    let zoned = cast(&integers, &Timestamp(TimeUnit::Microsecond, Some("+00:00".into())));
    same(zoned, &[Timestamp(TimeUnit::Microsecond, Some("UTC".into()))]);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN), Some(-0.0)]));
    same(floats, &[Float16, Float32]);
    let decimals =
        Decimal128Array::from(vec![Some(150), None, Some(-7)]).with_precision_and_scale(10, 2).expect("decimals");
    same(Arc::new(decimals), &[Decimal64(12, 3), Decimal128(38, 20)]);
    let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("wide"), None, Some("a string beyond twelve bytes")]));
    same(strings.clone(), &[LargeUtf8, Utf8View, dictionary(LargeUtf8)]);
    same(cast(&strings, &Binary), &[LargeBinary, BinaryView]);
    let bytes: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None, Some("cd")]));
    same(cast(&bytes, &Binary), &[FixedSizeBinary(2)]);
    let lists = cast(&integers, &List(list(Int32)));
    same(lists, &[LargeList(list(DataType::Int64)), FixedSizeList(list(Int16), 1)]);
}

#[test]
fn what_has_no_exact_form_is_refused() {
    let nanos = |v| try_of(&one("at", Arc::new(TimestampNanosecondArray::from(vec![Some(v), None]))));
    assert!(nanos(2_000).is_ok());
    let error = nanos(2_001).expect_err("half a microsecond");
    assert_eq!(error.kind(), Kind::UnsupportedFeature);
    assert!(error.message().contains("`at`"), "{error}");
    let interval = Schema::new(vec![Field::new("i", DataType::Duration(TimeUnit::Second), true)]);
    assert_eq!(Hasher::new(&interval, None).err().map(|e| e.kind()), Some(Kind::UnsupportedFeature));
    let twice = Schema::new(vec![Field::new("a", DataType::Int8, true), Field::new("a", DataType::Utf8, true)]);
    assert_eq!(Hasher::new(&twice, None).err().map(|e| e.kind()), Some(Kind::SchemaMismatch));
}

#[test]
fn large_unsigned_integers_are_decimals() {
    let unsigned = of(&one("n", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))));
    let decimal =
        Decimal128Array::from(vec![i128::from(u64::MAX), 0]).with_precision_and_scale(20, 0).expect("decimals");
    assert_eq!(unsigned, of(&one("n", Arc::new(decimal))));
}

#[test]
fn columns_can_be_chosen() {
    let batch = batch(&vectors().into_iter().find(|v| v["name"] == "column order is name order").expect("the vector"));
    let chosen = |names: &[&str]| -> Result<Fingerprint> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut hasher = Hasher::new(&batch.schema(), Some(&names))?;
        hasher.add(&batch)?;
        Ok(hasher.finish())
    };
    let part = of(&batch.project(&[1, 0]).expect("two columns"));
    assert_eq!(chosen(&["b", "a"]).expect("both"), part);
    assert_eq!(chosen(&["a", "b"]).expect("both"), part);
    assert_ne!(chosen(&["a"]).expect("one"), part);
    assert_eq!(chosen(&["nope"]).expect_err("not there").kind(), Kind::SchemaMismatch);
    let mut one = chosen(&["a"]).expect("one");
    assert_eq!(one.merge(&part).expect_err("other columns").kind(), Kind::SchemaMismatch);
}

#[test]
fn only_its_own_text_is_a_fingerprint() {
    let text = of(&one("n", Arc::new(Int64Array::from(vec![1])))).to_string();
    for bad in [
        text.to_uppercase(),
        text.replace("fp-1:1", "fp-1:01"),
        text.replace("fp-1:1", "fp-1:+1"),
        text.replace("fp-1", "fp-2"),
        format!("{text}:"),
        format!("{text}0"),
        text[..text.len() - 1].to_owned(),
        String::new(),
        "icehaul-fp-1:1:é:é".to_owned(),
    ] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

type Row = (Option<i64>, Option<String>, i128, f64);

fn rows(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("n", Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>())),
        ("s", Arc::new(rows.iter().map(|r| r.1.clone()).collect::<StringArray>())),
        ("d", Arc::new(rows.iter().map(|r| Some(r.2)).collect::<Decimal128Array>())),
        ("f", Arc::new(rows.iter().map(|r| Some(r.3)).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("a batch")
}

fn some_rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<Option<i64>>(), any::<Option<String>>(), -(10i128.pow(38) - 1)..10i128.pow(38), any::<f64>());
    proptest::collection::vec(row, 0..40)
}

proptest! {
    #[test]
    fn neither_order_nor_cuts_matter((straight, shuffled) in some_rows().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())), cut in any::<prop::sample::Index>()) {
        let whole = of(&rows(&straight));
        prop_assert_eq!(&of(&rows(&shuffled)), &whole);
        let (left, right) = shuffled.split_at(cut.index(shuffled.len() + 1));
        let mut merged = of(&rows(left));
        merged.merge(&of(&rows(right))).expect("the same columns");
        prop_assert_eq!(&merged, &whole);
        let turned = rows(&straight).project(&[2, 0, 3, 1]).expect("all columns");
        prop_assert_eq!(of(&turned).to_string(), whole.to_string());
    }

    #[test]
    fn every_row_counts(base in some_rows(), extra in some_rows()) {
        let both: Vec<Row> = base.iter().chain(&extra).cloned().collect();
        let twice: Vec<Row> = both.iter().chain(&extra).cloned().collect();
        prop_assert_eq!(of(&rows(&both)) == of(&rows(&base)), extra.is_empty());
        prop_assert_eq!(of(&rows(&twice)) == of(&rows(&both)), extra.is_empty());
        prop_assert_eq!(of(&rows(&twice)).rows(), (base.len() + 2 * extra.len()) as u64);
    }
}
