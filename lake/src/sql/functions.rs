//! What functions may make: their results lie beside the memory pool until an operator takes them.
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow_array::{Array, cast::AsArray, types::Int64Type};
use arrow_schema::{DataType, FieldRef};
use datafusion::{
    arrow::compute::{
        cast,
        kernels::{concat_elements::concat_elements_utf8, length::length},
    },
    common::{DFSchema, config::ConfigOptions, tree_node::Transformed},
    error::{DataFusionError, Result},
    execution::SessionStateDefaults,
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility, binary::BinaryTypeCoercer, expr::ScalarFunction, expr_rewriter::FunctionRewrite,
    },
};

/// The most bytes of one result for a batch, and on average for each of its rows.
const MAX_BYTES: u64 = 8 << 20;
const MAX_ROW_BYTES: u64 = 1 << 20;
/// The most bytes of a constant: it may be repeated for every row of a batch.
const MAX_CONSTANT_BYTES: u64 = 64 << 10;
/// The most calls in one query of functions that copy their arguments.
const MAX_CALLS: usize = 200;

/// Functions that make much of little, or need hours for it, and that a query over tables can do without.
const LEFT_OUT: [&str; 8] = [
    "array_repeat",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_resize",
    "generate_series",
    "levenshtein",
    "range",
];

/// What a call makes at most of one row beyond a copy of all its arguments, from the lengths of its texts and lists
/// (in bytes and items) and the values of its numbers.
type Beyond = fn(&[u64]) -> u64;

/// The functions that copy their arguments into longer values.
fn beyond(function: &str) -> Option<Beyond> {
    Some(match function {
        "||" | "array_append" | "array_concat" | "array_prepend" | "array_union" | "arrays_zip" | "concat"
        | "make_array" | "map" | "named_struct" | "overlay" | "struct" => |_| 0,
        "repeat" => |of| at(of, 0).saturating_mul(at(of, 1)),
        // In bytes of UTF-8.
        "lpad" | "rpad" => |of| at(of, 1).saturating_mul(4),
        "replace" => |of| (at(of, 0) / at(of, 1).max(1)).saturating_add(1).saturating_mul(at(of, 2)),
        "regexp_replace" => |of| at(of, 0).saturating_add(1).saturating_mul(at(of, 2)),
        "array_to_string" => |of| at(of, 0).saturating_mul(at(of, 1).saturating_add(at(of, 2)).saturating_add(24)),
        "concat_ws" => |of| at(of, 0).saturating_mul(of.len() as u64),
        "to_char" => |of| at(of, 1).saturating_mul(16),
        _ => return None,
    })
}

fn at(lengths: &[u64], argument: usize) -> u64 {
    lengths.get(argument).copied().unwrap_or_default()
}

/// The functions that a query may call.
pub fn offered() -> Vec<Arc<ScalarUDF>> {
    let all = SessionStateDefaults::default_scalar_functions().into_iter();
    all.filter(|function| !LEFT_OUT.contains(&function.name())).map(bounded).collect()
}

fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match beyond(function.name()) {
        Some(_) if !function.inner().as_any().is::<Bounded>() => Arc::new(Bounded(function).into()),
        _ => function,
    }
}

/// Bounds the calls that the planner makes of operators (`||`, `[…]`), and the number of all.
#[derive(Debug, Default)]
pub struct Bounds {
    calls: AtomicUsize,
}

impl FunctionRewrite for Bounds {
    fn name(&self) -> &str {
        "bounds"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (function, args) = match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                (Arc::new(Concat::new().into()), vec![*left, *right])
            }
            Expr::ScalarFunction(call) if beyond(call.func.name()).is_some() => (call.func, call.args),
            other => return Ok(Transformed::no(other)),
        };
        if self.calls.fetch_add(1, Ordering::Relaxed) == MAX_CALLS {
            return Err(refused(format!("more than {MAX_CALLS} calls like {}(…)", function.name())));
        }
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: bounded(function), args })))
    }
}

fn refused(what: String) -> DataFusionError {
    DataFusionError::Execution(format!("the query has {what}, which could take too much memory"))
}

/// A function that refuses to make too much, before it makes it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded(Arc<ScalarUDF>);

impl ScalarUDFImpl for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn name(&self) -> &str {
        self.0.name()
    }
    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.0.schema_name(args)
    }
    fn signature(&self) -> &Signature {
        self.0.signature()
    }
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }
    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let (rows, most) = match constant {
            true => (1, MAX_CONSTANT_BYTES),
            false => (args.number_rows, MAX_ROW_BYTES.saturating_mul(args.number_rows as u64).min(MAX_BYTES)),
        };
        if most_made(self.name(), &args.args, rows)? > most {
            let what = if constant { "a constant" } else { "values for one batch of rows" };
            return Err(refused(format!(
                "a call of {}(…) that may make {what} of more than {most} bytes",
                self.name()
            )));
        }
        self.0.invoke_with_args(args)
    }
}

/// The most bytes that a call can make for some rows.
fn most_made(function: &str, args: &[ColumnarValue], rows: usize) -> Result<u64> {
    let copied = args.iter().map(|arg| bytes(arg, rows)).fold(0, u64::saturating_add);
    let Some(beyond) = beyond(function).filter(|_| rows > 0) else { return Ok(copied) };
    let lengths = args.iter().map(|arg| lengths(arg, rows)).collect::<Result<Vec<_>>>()?;
    let of_row = |row: usize| beyond(&lengths.iter().map(|of| of[row.min(of.len() - 1)]).collect::<Vec<_>>());
    Ok((0..rows).map(of_row).fold(copied, u64::saturating_add))
}

fn bytes(arg: &ColumnarValue, rows: usize) -> u64 {
    match arg {
        ColumnarValue::Array(array) => {
            array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()) as u64
        }
        ColumnarValue::Scalar(value) => ((value.size() - size_of_val(value)) as u64).saturating_mul(rows as u64),
    }
}

/// For each row, or once for all of them, the length of a text or list or the value of an integer; else 1.
fn lengths(arg: &ColumnarValue, rows: usize) -> Result<Vec<u64>> {
    let array = match arg {
        ColumnarValue::Array(array) => array.clone(),
        ColumnarValue::Scalar(value) => value.to_array()?,
    };
    let numbers = match array.data_type().is_integer() {
        true => array,
        false => match length(&array) {
            Ok(lengths) => lengths,
            Err(_) => return Ok(vec![1; rows]),
        },
    };
    let numbers = cast(&numbers, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    Ok(numbers.map(|number| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default()).collect())
}

/// `||` for texts, as a function so that it can be bounded. Other than `concat`, it makes NULL of NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl Concat {
    fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Concat {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn name(&self) -> &str {
        "||"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else { return Err(DataFusionError::Plan("|| takes two texts".into())) };
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = texts.iter().map(|text| cast(text, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        let [left, right] = texts.as_slice() else { return Err(DataFusionError::Plan("|| takes two texts".into())) };
        let both = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
        Ok(ColumnarValue::Array(cast(&both, args.return_field.data_type())?))
    }
}
