//! Parquet: a row group a stretch, sorted by source and rank, which its metadata say.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use walkprint_engine::error::Error as EngineError;

use super::COLUMNS;
use crate::batch::rows::{Ids, Stretch};
use crate::error::{Error, Result};

/// The level of compression. On 4.4 and 2.3 million rows (soc-Epinions1, WordNet) level 1 takes a tenth less time and 3 %
/// more room, level 6 twice the time and 2 % less room.
const ZSTD_LEVEL: i32 = 3;
/// Bytes of ids that a row group keeps as a dictionary before it writes them out row by row: with the usual mebibyte the
/// answers of WordNet took a fifth more room.
const DICTIONARY_BYTES: usize = 8 << 20;
/// Columns of measured numbers: hardly one comes twice.
const NUMBERS: [&str; 2] = ["score", "std_error"];

/// A Parquet file that is being written.
pub(crate) struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    path: PathBuf,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file.
    pub(super) fn new(output: W, integers: bool, path: PathBuf) -> Result<ParquetFile<W>> {
        // What a reader sees is plain text: that it comes as a dictionary is between us and the writer.
        let id = if integers {
            DataType::Int64
        } else {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        };
        let kinds = [id.clone(), id, DataType::Float32, DataType::Float32, DataType::UInt32];
        let fields = COLUMNS.into_iter().zip(kinds).map(|(name, kind)| Field::new(name, kind, false));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let ascending = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
        let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("a level that zstd has");
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_max_row_group_row_count(None)
            .set_sorting_columns(Some(vec![ascending(0), ascending(4)]));
        for name in NUMBERS {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
        }
        let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
        match ArrowWriter::try_new_with_options(output, Arc::clone(&schema), options) {
            Ok(writer) => Ok(ParquetFile { writer, schema, path }),
            Err(error) => Err(describe(path, error)),
        }
    }

    /// Writes a row group.
    pub(super) fn write(&mut self, stretch: Stretch) -> Result<()> {
        let columns: Vec<ArrayRef> = vec![
            ids(stretch.sources),
            ids(stretch.targets),
            Arc::new(Float32Array::from(stretch.scores)),
            Arc::new(Float32Array::from(stretch.std_errors)),
            Arc::new(UInt32Array::from(stretch.ranks)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(|error| ParquetError::General(error.to_string()));
        let written = batch.and_then(|batch| self.writer.write(&batch)).and_then(|()| self.writer.flush());
        written.map_err(|error| describe(self.path.clone(), error))
    }

    /// Writes the metadata.
    pub(super) fn finish(self) -> Result<()> {
        let closed = self.writer.close();
        closed.map(|_| ()).map_err(|error| describe(self.path, error))
    }
}

fn ids(ids: Ids) -> ArrayRef {
    match ids {
        Ids::Integers(integers) => Arc::new(Int64Array::from(integers)),
        Ids::Strings { keys, ids } => {
            let (keys, ids) = (Int32Array::from(keys), StringArray::from(ids));
            Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(ids)))
        }
    }
}

/// The disk's own reason, where there is one.
fn describe(path: PathBuf, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(source) => EngineError::Io { path, action: "write", source: *source }.into(),
            Err(cause) => Error::Parquet { path, source: ParquetError::External(cause) },
        },
        source => Error::Parquet { path, source },
    }
}
