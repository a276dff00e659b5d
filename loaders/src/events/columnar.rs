//! Events as Parquet: a row an event. Ids, types and operations are strings or integers, weights numbers, times numbers or
//! timestamps. Null is none.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use walkprint_engine::events::WrittenEvent;

use super::columns::Columns;
use super::table::operation;
use super::{EventOptions, Gathered};
use crate::error::{Problem, quoted};
use crate::parquet::column::{Column, is_integer, is_number, is_text, is_time};
use crate::parquet::{damaged, guarded};
use crate::{Error, source};

/// The rows of a file.
pub(super) struct Rows {
    path: PathBuf,
    columns: Columns,
    /// The places of the columns that are read, ascending.
    places: Vec<usize>,
    batches: ParquetRecordBatchReader,
    rows_before: u64,
    pub(super) ignored: Vec<String>,
}

impl Rows {
    /// Opens a file and finds its columns.
    pub(super) fn begin(path: &Path, options: &EventOptions) -> Result<Rows, Error> {
        guarded(path, || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(source::open(path)?);
            let builder = builder.map_err(|error| damaged(path, error))?;
            let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
            let columns = Columns::by_header(options, &header).map_err(|problem| problem.of_file(path))?;
            let mut places = columns.used();
            for &place in &places {
                let field = builder.schema().field(place);
                let (fits, expected): (fn(&DataType) -> bool, _) = if columns.weight == Some(place) {
                    (is_number, "numbers")
                } else if columns.time == Some(place) {
                    (is_time, "numbers or timestamps")
                } else {
                    (|kind| is_integer(kind) || is_text(kind), "integers or strings")
                };
                if !fits(field.data_type()) {
                    let expected = format!("{expected} in the column {}", quoted(field.name().as_bytes()));
                    return Err(Problem::new(expected, field.data_type().to_string()).of_file(path));
                }
            }
            places.sort_unstable();
            let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
            let batches = builder.with_projection(mask).with_batch_size(options.batch_events.max(1)).build();
            let batches = batches.map_err(|error| damaged(path, error))?;
            let ignored = columns.ignored(&header);
            Ok(Rows { path: path.to_owned(), columns, places, batches, rows_before: 0, ignored })
        })
    }

    /// Reads the next rows; false at the end.
    pub(super) fn read(&mut self, gathered: &mut Gathered) -> Result<bool, Error> {
        let path = self.path.clone();
        guarded(&path, || {
            let Some(batch) = self.batches.next() else { return Ok(false) };
            let batch = batch.map_err(|error| damaged(&path, error))?;
            self.take(&batch, gathered).map_err(|(row, problem)| problem.at_row(&path, row))?;
            self.rows_before += batch.num_rows() as u64;
            Ok(true)
        })
    }

    fn take(&self, batch: &RecordBatch, gathered: &mut Gathered) -> Result<(), (u64, Problem)> {
        let column = |place: Option<usize>, what: &'static str| {
            let at = self.places.binary_search(&place?).expect("the place of a column that is read");
            Some(Column::new(batch.column(at).as_ref(), what))
        };
        let Columns { source, target, user, item, node, weight, kind, operation: op, time, event_id, count: _ } =
            self.columns;
        let [source, target, user, item, node, kind, op, event_id] =
            [source, target, user, item, node, kind, op, event_id].map(|place| column(place, "an id"));
        let (weight, time) = (column(weight, "a weight"), column(time, "a time"));
        for row in 0..batch.num_rows() {
            let text = |column: &Option<Column<'_>>| {
                let text = column.as_ref().map(|column| column.kind(row).into_owned());
                text.filter(|text| !text.is_empty())
            };
            let number = |column: &Option<Column<'_>>, what| -> Result<Option<f64>, Problem> {
                match column {
                    Some(column) if !column.is_null(row) => column.number(row, what).map(Some),
                    _ => Ok(None),
                }
            };
            let line = self.rows_before + row as u64 + 1;
            let written = || -> Result<WrittenEvent, Problem> {
                Ok(WrittenEvent {
                    op: operation(text(&op).as_deref())?,
                    source: text(&source),
                    target: text(&target),
                    user_id: text(&user),
                    item_id: text(&item),
                    node: text(&node),
                    weight: number(&weight, "a finite weight")?,
                    kind: text(&kind),
                    time: number(&time, "a time (a finite number of seconds, say since 1970)")?,
                    event_id: text(&event_id),
                })
            };
            written().and_then(|written| gathered.take(written, line)).map_err(|problem| (line, problem))?;
        }
        Ok(())
    }
}
