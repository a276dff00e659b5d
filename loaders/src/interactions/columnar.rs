//! Parquet: a row an interaction. Ids are integers or strings, ratings and times are numbers; a null among them is an error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::InteractionOptions;
use super::columns::Columns;
use super::gather::{Gatherer, RATING, TIME};
use crate::error::Problem;
use crate::parquet::column::{Column, is_integer, is_number, is_text};
use crate::parquet::{BATCH_ROWS, damaged, guarded};
use crate::{Error, Format, source};

/// Whether a file is read here.
pub(super) fn is_parquet(path: &Path) -> bool {
    Format::from_name(path) == Some(Format::Parquet)
}

/// The names of a file's columns.
pub(super) fn header(path: &Path) -> Result<Vec<String>, Error> {
    guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(source::open(path)?);
        let builder = builder.map_err(|error| damaged(path, error))?;
        Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
    })
}

/// Reads a file.
pub(super) fn read(
    path: &Path,
    options: &InteractionOptions,
    gatherer: &mut Gatherer,
    bytes_read: &Arc<AtomicU64>,
    tell: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let columns = Columns::by_header(options, &header(path)?).map_err(|problem| problem.of_file(path))?;
    gatherer.begin(columns.found.clone()).map_err(|problem| problem.of_file(path))?;
    let length = source::length(path)?;
    guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(source::open(path)?);
        let builder = builder.map_err(|error| damaged(path, error))?;
        let mut places = vec![columns.user, columns.item];
        places.extend(columns.weight.into_iter().chain(columns.time));
        let numbers = [columns.weight, columns.time];
        for &place in &places {
            let field = builder.schema().field(place);
            let kind = field.data_type();
            let (fits, expected) = if numbers.contains(&Some(place)) {
                (is_number(kind), "numbers")
            } else {
                (is_integer(kind) || is_text(kind), "integers or strings")
            };
            if !fits {
                let expected = format!("{expected} in the column {:?}", field.name());
                return Err(Problem::new(expected, kind.to_string()).of_file(path));
            }
        }
        places.sort_unstable();
        let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let batches = batches.map_err(|error| damaged(path, error))?;
        let mut before = 0u64;
        for batch in batches {
            let batch = batch.map_err(|error| damaged(path, error))?;
            let column = |place: usize, what: &'static str| {
                let at = places.binary_search(&place).expect("the place of a column that is read");
                Column::new(batch.column(at).as_ref(), what)
            };
            let user = column(columns.user, "the id of a user");
            let item = column(columns.item, "the id of an item");
            let weight = columns.weight.map(|place| column(place, RATING));
            let time = columns.time.map(|place| column(place, TIME));
            for row in 0..batch.num_rows() {
                let mut take = || {
                    let weight = weight.as_ref().map(|weight| weight.number(row, RATING)).transpose()?;
                    let time = time.as_ref().map(|time| time.number(row, TIME)).transpose()?;
                    let user = gatherer.user(user.id(row)?.as_bytes())?;
                    gatherer.take(user, item.id(row)?.as_bytes(), weight, time)
                };
                take().map_err(|problem| problem.at_row(path, before + row as u64 + 1))?;
            }
            before += batch.num_rows() as u64;
            tell()?;
        }
        gatherer.lines += before;
        Ok(())
    })?;
    gatherer.bytes_parsed += length;
    bytes_read.fetch_add(length, Ordering::Relaxed);
    tell()
}
