//! Recommendations in files: `user_id, item_id, score, rank, fallback`, sorted by user and rank; and lists of items that go with an
//! item, `item_id, neighbor_id, score, rank, fallback`.
//!
//! Ids are integers if all of their side are, else text. A file has its name only when it is whole.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use walkprint_engine::error::Error as EngineError;
use walkprint_engine::ids::canonical_integer;
use walkprint_engine::labels::Labels;

use super::audience::Person;
use super::in_order::in_order;
use super::recommender::{Recommended, Recommender};
use crate::error::{Error, Result};

/// People whom a thread answers at a time; a multiple of the lanes of a block.
const AT_ONCE: usize = 64;
/// Rows of a row group, about.
const GROUP_ROWS: usize = 1 << 20;

/// The columns of recommendations.
pub const RECOMMENDED: [&str; 2] = ["user_id", "item_id"];
/// The columns of lists.
pub const LISTED: [&str; 2] = ["item_id", "neighbor_id"];

/// How recommendations are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// CSV with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "parquet" => Ok(Format::Parquet),
            "csv" => Ok(Format::Csv),
            "jsonl" => Ok(Format::Jsonl),
            _ => Err(format!("expected parquet, csv or jsonl, got {text:?}")),
        }
    }
}

impl Format {
    /// The format that a file's name says, if any.
    #[must_use]
    pub fn of(path: &Path) -> Option<Format> {
        path.extension()?.to_str()?.parse().ok()
    }
}

/// One recommendation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The user.
    pub user_id: String,
    /// The item.
    pub item_id: String,
    /// Its score.
    pub score: f64,
    /// Its place, from 1.
    pub rank: u32,
    /// Whether nothing was known of the user.
    pub fallback: bool,
}

/// A file of recommendations that is being written.
pub struct OutputFile {
    path: PathBuf,
    unfinished: PathBuf,
    heads: [&'static str; 2],
    integers: [bool; 2],
    way: Way,
    rows: Vec<Row>,
}

enum Way {
    Parquet(Box<ArrowWriter<BufWriter<File>>>, Arc<Schema>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Jsonl(BufWriter<File>),
}

impl OutputFile {
    /// Begins a file. `heads`: the names of the first two columns, [`RECOMMENDED`] or [`LISTED`]; `integers`: whether all ids in
    /// each are integers.
    ///
    /// # Errors
    /// When there is a file already and `replace` is not set, or the disk refuses.
    pub fn create(
        path: &Path,
        format: Format,
        (heads, integers): ([&'static str; 2], [bool; 2]),
        replace: bool,
    ) -> Result<OutputFile> {
        if path.exists() && !replace {
            return Err(EngineError::Exists { path: path.to_owned() }.into());
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = path.with_file_name(name);
        let options = File::options().write(true).create(true).truncate(true).open(&unfinished);
        let file = BufWriter::new(options.map_err(EngineError::io(&unfinished, "create"))?);
        let way = match format {
            Format::Parquet => {
                let id = |integers| if integers { DataType::Int64 } else { DataType::Utf8 };
                let kinds = [
                    (heads[0], id(integers[0])),
                    (heads[1], id(integers[1])),
                    ("score", DataType::Float64),
                    ("rank", DataType::UInt32),
                    ("fallback", DataType::Boolean),
                ];
                let fields = kinds.into_iter().map(|(name, kind)| Field::new(name, kind, false));
                let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
                let level = ZstdLevel::try_new(3).expect("a level that zstd has");
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
                let writer = writer.map_err(|source| Error::Parquet { path: path.to_owned(), source })?;
                Way::Parquet(Box::new(writer), schema)
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(file);
                let header = writer.write_record([heads[0], heads[1], "score", "rank", "fallback"]);
                header.map_err(|error| as_io(&unfinished, error))?;
                Way::Csv(Box::new(writer))
            }
            Format::Jsonl => Way::Jsonl(file),
        };
        Ok(OutputFile { path: path.to_owned(), unfinished, heads, integers, way, rows: Vec::new() })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, mut rows: Vec<Row>) -> Result<()> {
        let (path, heads) = (&self.unfinished, self.heads);
        match &mut self.way {
            Way::Parquet(..) => {
                self.rows.append(&mut rows);
                if GROUP_ROWS <= self.rows.len() { self.flush() } else { Ok(()) }
            }
            Way::Csv(writer) => rows.iter().try_for_each(|row| {
                let fields = [
                    row.user_id.as_str(),
                    row.item_id.as_str(),
                    &row.score.to_string(),
                    &row.rank.to_string(),
                    if row.fallback { "true" } else { "false" },
                ];
                writer.write_record(fields).map_err(|error| as_io(path, error))
            }),
            Way::Jsonl(writer) => rows.iter().try_for_each(|row| {
                let text = |text: &str| serde_json::to_string(text).expect("text always serializes");
                let Row { user_id, item_id, score, rank, fallback } = row;
                let ([first, second], user, item) = (heads, text(user_id), text(item_id));
                let line = format!(
                    "{{\"{first}\":{user},\"{second}\":{item},\"score\":{score:?},\"rank\":{rank},\"fallback\":{fallback}}}\n"
                );
                Ok(writer.write_all(line.as_bytes()).map_err(EngineError::io(path, "write"))?)
            }),
        }
    }

    /// Writes what is left, and gives the file its name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let OutputFile { path, unfinished, way, .. } = self;
        let written = match way {
            Way::Parquet(writer, _) => {
                let inner = writer.into_inner().map_err(|source| Error::Parquet { path: path.clone(), source })?;
                inner.into_inner().map_err(std::io::IntoInnerError::into_error)
            }
            Way::Csv(writer) => match writer.into_inner() {
                Ok(inner) => inner.into_inner().map_err(std::io::IntoInnerError::into_error),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            },
            Way::Jsonl(writer) => writer.into_inner().map_err(std::io::IntoInnerError::into_error),
        };
        let synced = written.and_then(|file| file.sync_all());
        synced.map_err(EngineError::io(&unfinished, "write"))?;
        Ok(std::fs::rename(&unfinished, &path).map_err(EngineError::io(&path, "name"))?)
    }

    fn flush(&mut self) -> Result<()> {
        let Way::Parquet(writer, schema) = &mut self.way else { return Ok(()) };
        let rows = std::mem::take(&mut self.rows);
        let ids = |integers: bool, id: fn(&Row) -> &str| -> ArrayRef {
            if integers {
                Arc::new(Int64Array::from_iter(rows.iter().map(|row| canonical_integer(id(row).as_bytes()))))
            } else {
                Arc::new(StringArray::from_iter_values(rows.iter().map(id)))
            }
        };
        let columns: Vec<ArrayRef> = vec![
            ids(self.integers[0], |row| &row.user_id),
            ids(self.integers[1], |row| &row.item_id),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.score))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.rank))),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.fallback)))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(schema), columns);
        let batch = batch.map_err(|error| ParquetError::General(error.to_string()));
        let written = batch.and_then(|batch| writer.write(&batch)).and_then(|()| writer.flush());
        written.map_err(|source| Error::Parquet { path: self.path.clone(), source })
    }
}

fn as_io(path: &Path, error: csv::Error) -> Error {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => std::io::Error::other(format!("{other:?}")),
    };
    EngineError::io(path, "write")(source).into()
}

/// Recommends to everybody of a list, who is told by a user's id and place (or `None`: unknown), and hands rows over in order.
/// Returns how many got the fallback.
///
/// # Errors
/// When a file is damaged; what `take` says; [`Error::Interrupted`].
pub fn write_all(
    recommender: &Recommender<'_>,
    labels: &Labels,
    users: &[(Option<u32>, String)],
    (top, with_seen): (usize, bool),
    work: (usize, &AtomicBool),
    mut take: impl FnMut(Vec<Row>) -> Result<()>,
) -> Result<u64> {
    let audience = recommender.audience();
    let mut fallbacks = 0;
    in_order(
        work,
        users.len().div_ceil(AT_ONCE),
        || recommender.scorer(),
        |scorer, chunk| {
            let users = &users[chunk * AT_ONCE..users.len().min((chunk + 1) * AT_ONCE)];
            let person =
                |user: &(Option<u32>, String)| user.0.map_or(Person::default(), |place| audience.person(place));
            let people: Vec<Person> = users.iter().map(person).collect();
            let mut rows = Vec::with_capacity(users.len() * top.min(100));
            let mut fallbacks = 0u64;
            for ((_, id), recommended) in users.iter().zip(scorer.recommend(&people, top, with_seen)?) {
                fallbacks += u64::from(recommended.fallback);
                rows_of(recommender, labels, id, &recommended, &mut rows)?;
            }
            Ok((rows, fallbacks))
        },
        |(rows, more)| {
            fallbacks += more;
            take(rows)
        },
    )?;
    Ok(fallbacks)
}

fn rows_of(
    recommender: &Recommender<'_>,
    labels: &Labels,
    user: &str,
    recommended: &Recommended,
    rows: &mut Vec<Row>,
) -> Result<()> {
    for (rank, pick) in (1..).zip(&recommended.picks) {
        rows.push(Row {
            user_id: user.to_owned(),
            item_id: recommender.audience().item_id(labels, pick.place)?,
            score: pick.score,
            rank,
            fallback: recommended.fallback,
        });
    }
    Ok(())
}
