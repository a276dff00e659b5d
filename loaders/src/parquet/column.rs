//! One column of a batch, of any type that ids, weights and types may have.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, LargeStringArray, StringArray, StringViewArray};
use arrow_schema::{DataType, TimeUnit};

use crate::error::Problem;
use crate::gather::{Sink, bad_weight, check_weight};

/// A column of a batch, ready to be read row by row.
pub(crate) struct Column<'batch> {
    values: Values<'batch>,
    /// Which rows have no value; empty when all have one.
    nulls: Vec<bool>,
    /// What the column holds, for messages.
    what: &'static str,
}

enum Values<'batch> {
    Integers(Vec<i64>),
    Unsigned(&'batch [u64]),
    Floats(Vec<f64>),
    Text(&'batch StringArray),
    LargeText(&'batch LargeStringArray),
    TextView(&'batch StringViewArray),
    Dictionary {
        keys: Vec<usize>,
        texts: Box<Values<'batch>>,
    },
    /// Neither numbers nor strings: refused before any row is read.
    Other,
}

impl<'batch> Column<'batch> {
    pub(crate) fn new(array: &'batch dyn Array, what: &'static str) -> Self {
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() != 0);
        let nulls = nulls.map_or(Vec::new(), |nulls| (0..nulls.len()).map(|row| nulls.is_null(row)).collect());
        Column { values: Values::new(array), nulls, what }
    }

    pub(crate) fn source(&self, row: usize, sink: &mut Sink) -> Result<u32, Problem> {
        self.check(row)?;
        match &self.values {
            Values::Integers(values) => sink.integer(values[row]),
            Values::Unsigned(values) => sink.source(values[row].to_string().as_bytes()),
            values => sink.source(values.text(row).as_bytes()),
        }
    }

    pub(crate) fn target(&self, row: usize, sink: &mut Sink) -> Result<u32, Problem> {
        self.check(row)?;
        match &self.values {
            Values::Integers(values) => sink.integer(values[row]),
            Values::Unsigned(values) => sink.target(values[row].to_string().as_bytes()),
            values => sink.target(values.text(row).as_bytes()),
        }
    }

    pub(crate) fn weight(&self, row: usize) -> Result<f64, Problem> {
        self.check(row)?;
        let weight = self.float(row);
        check_weight(weight).ok_or_else(|| bad_weight(weight, weight.to_string()))
    }

    /// A finite number, whatever its sign.
    pub(crate) fn number(&self, row: usize, what: &'static str) -> Result<f64, Problem> {
        self.check(row)?;
        let value = self.float(row);
        if value.is_finite() { Ok(value) } else { Err(Problem::new(what, value.to_string())) }
    }

    /// An id as text.
    pub(crate) fn id(&self, row: usize) -> Result<Cow<'_, str>, Problem> {
        self.check(row)?;
        Ok(self.kind(row))
    }

    fn float(&self, row: usize) -> f64 {
        match &self.values {
            Values::Integers(values) => values[row] as f64,
            Values::Unsigned(values) => values[row] as f64,
            Values::Floats(values) => values[row],
            _ => f64::NAN,
        }
    }

    /// The name of a type; empty where the row has none.
    pub(crate) fn kind(&self, row: usize) -> Cow<'_, str> {
        if self.is_null(row) {
            return Cow::Borrowed("");
        }
        match &self.values {
            Values::Integers(values) => Cow::Owned(values[row].to_string()),
            Values::Unsigned(values) => Cow::Owned(values[row].to_string()),
            values => Cow::Borrowed(values.text(row)),
        }
    }

    fn check(&self, row: usize) -> Result<(), Problem> {
        if self.is_null(row) { Err(Problem::new(self.what, "null")) } else { Ok(()) }
    }

    /// Whether a row has no value.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }
}

impl<'batch> Values<'batch> {
    fn new(array: &'batch dyn Array) -> Self {
        match array.data_type() {
            DataType::Int8 => {
                Values::Integers(array.as_primitive::<Int8Type>().values().iter().map(|&value| value.into()).collect())
            }
            DataType::Int16 => {
                Values::Integers(array.as_primitive::<Int16Type>().values().iter().map(|&value| value.into()).collect())
            }
            DataType::Int32 => {
                Values::Integers(array.as_primitive::<Int32Type>().values().iter().map(|&value| value.into()).collect())
            }
            DataType::Int64 => Values::Integers(array.as_primitive::<Int64Type>().values().to_vec()),
            DataType::UInt8 => {
                Values::Integers(array.as_primitive::<UInt8Type>().values().iter().map(|&value| value.into()).collect())
            }
            DataType::UInt16 => Values::Integers(
                array.as_primitive::<UInt16Type>().values().iter().map(|&value| value.into()).collect(),
            ),
            DataType::UInt32 => Values::Integers(
                array.as_primitive::<UInt32Type>().values().iter().map(|&value| value.into()).collect(),
            ),
            DataType::UInt64 => Values::Unsigned(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => {
                Values::Floats(array.as_primitive::<Float32Type>().values().iter().map(|&value| value.into()).collect())
            }
            DataType::Float64 => Values::Floats(array.as_primitive::<Float64Type>().values().to_vec()),
            DataType::Timestamp(unit, _) => Values::Floats(seconds(array, *unit)),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                // Without values every key is null, and `normalized_keys` would have nothing to point at.
                let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
                Values::Dictionary { keys, texts: Box::new(Values::new(dictionary.values().as_ref())) }
            }
            _ => Values::Other,
        }
    }

    fn text(&self, row: usize) -> &str {
        match self {
            Values::Text(values) => values.value(row),
            Values::LargeText(values) => values.value(row),
            Values::TextView(values) => values.value(row),
            Values::Dictionary { keys, texts } => texts.text(keys[row]),
            Values::Integers(_) | Values::Unsigned(_) | Values::Floats(_) | Values::Other => "",
        }
    }
}

/// Points of time, in seconds since 1970.
fn seconds(array: &dyn Array, unit: TimeUnit) -> Vec<f64> {
    let (values, a_second) = match unit {
        TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().values(), 1.0),
        TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().values(), 1e3),
        TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().values(), 1e6),
        TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().values(), 1e9),
    };
    values.iter().map(|&value| value as f64 / a_second).collect()
}

/// Whether a column holds points of time: numbers count as seconds.
pub(crate) fn is_time(kind: &DataType) -> bool {
    is_number(kind) || matches!(kind, DataType::Timestamp(_, _))
}

/// Whether a column holds integers.
pub(crate) fn is_integer(kind: &DataType) -> bool {
    kind.is_integer()
}

/// Whether a column holds numbers.
pub(crate) fn is_number(kind: &DataType) -> bool {
    is_integer(kind) || matches!(kind, DataType::Float32 | DataType::Float64)
}

/// Whether a column holds strings.
pub(crate) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
