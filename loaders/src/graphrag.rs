//! The Parquet tables of Microsoft's GraphRAG: a directory of them, or the files one by one.
//!
//! | table | columns that are read | what becomes of them |
//! |---|---|---|
//! | `text_units` | `id`, `text` | passages: `passage:ID` |
//! | `entities` | `title` (before 1.0: `name`), `text_unit_ids` | entities; passages mention them |
//! | `relationships` | `source`, `target`, `weight` | edges of type `related`, walked both ways: GraphRAG's graph is undirected |
//!
//! A table is told by its name: `entities.parquet`, or `create_final_entities.parquet` as before 1.0. `relationships` must be
//! there. Tables of other names are left out, and the report says so.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use walkprint_engine::kinds;

use crate::error::Problem;
use crate::gather::Gauge;
use crate::knowledge::{Found, expect_all};
use crate::openie::PASSAGE_PREFIX;
use crate::parquet::column::{Column, is_integer, is_number, is_text};
use crate::parquet::{damaged, guarded};
use crate::part::Part;
use crate::{Error, Format, LoadOptions, LoadedPart, Progress, source};

/// The type of edges between entities.
const RELATED: &[u8] = b"related";

/// The tables, in the order in which they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    TextUnits,
    Entities,
    Relationships,
}

impl Table {
    const ALL: [(&str, Table); 3] =
        [("text_units", Table::TextUnits), ("entities", Table::Entities), ("relationships", Table::Relationships)];

    fn of(path: &Path) -> Option<Table> {
        let stem = path.file_stem()?.to_str()?;
        let name = stem.strip_prefix("create_final_").unwrap_or(stem);
        Table::ALL.into_iter().find(|&(known, _)| known == name).map(|(_, table)| table)
    }
}

/// Reads all tables.
pub(crate) fn load(
    paths: &[PathBuf],
    options: &LoadOptions,
    part: Part,
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<LoadedPart, Error> {
    expect_all(part, &paths[0], Format::GraphRag)?;
    options.check_format(Format::GraphRag)?;
    if options.inverse.is_some() {
        let (expected, got) = ("a format whose edges lead one way", Format::GraphRag.to_string());
        return Err(Error::Option { option: "--inverse", expected, got });
    }
    let lengths = paths.iter().map(|path| source::length(path)).collect::<Result<Vec<u64>, Error>>()?;
    let bytes_total = lengths.iter().sum();
    let gauge = Gauge::new(bytes_total, options.memory_bytes);
    let tell = || {
        let bytes_read = gauge.bytes_read.load(Ordering::Relaxed);
        let gone_on = progress(Progress { bytes_read, bytes_total }).is_continue();
        if gone_on { Ok(()) } else { Err(Error::Interrupted) }
    };
    let mut found = Found::new(options, &tell);
    let mut tables: Vec<(Table, usize)> = Vec::new();
    for (file, path) in paths.iter().enumerate() {
        match Table::of(path) {
            Some(table) => tables.push((table, file)),
            None => found.leave_out("files of other names", || path.display().to_string()),
        }
    }
    tables.sort_unstable();
    if !tables.iter().any(|&(table, _)| table == Table::Relationships) {
        let problem = Problem::new("a table relationships.parquet beside the others", "none");
        return Err(problem.of_file(&paths[0]));
    }
    let mut held = 0;
    for (sequence, &(table, file)) in (0..).zip(&tables) {
        let path = &paths[file];
        found.sink.begin(sequence, file, table == Table::Relationships || options.undirected);
        let columns: &[&[&str]] = match table {
            Table::TextUnits => &[&["id"], &["text"]],
            Table::Entities => &[&["title", "name"], &["text_unit_ids"]],
            Table::Relationships => &[&["source"], &["target"], &["weight"]],
        };
        guarded(path, || {
            read(path, columns, &mut |batch, first_row| {
                take(table, batch, &mut found)
                    .map_err(|(row, problem)| problem.at_row(path, first_row + row as u64 + 1))
            })
        })?;
        let now = found.sink.end();
        gauge.holds(held, now)?;
        held = now;
        gauge.bytes_read.fetch_add(lengths[file], Ordering::Relaxed);
        found.tell()?;
    }
    let names = ["source", "target", "kind of table", "weight"];
    let mut part = found.finish(Format::GraphRag, names, paths.len(), part, &gauge)?;
    // A table of entities without mentions and a file that is none have no edges, and need none.
    let related = tables.iter().any(|&(table, file)| table == Table::Relationships && part.counts.files[file].0 != 0);
    if related {
        let edges = part.counts.files.iter().map(|file| file.0).sum();
        part.counts.files.iter_mut().for_each(|file| *file = (edges, None));
    }
    Ok(part)
}

/// What takes the columns of a batch and the number of its first row.
type Take<'t> = dyn FnMut(&[&dyn Array], u64) -> Result<(), Error> + 't;

/// Hands over all batches of a table, their columns in the order of `names`: of each list the first name that is there.
fn read(path: &Path, names: &[&[&str]], take: &mut Take<'_>) -> Result<(), Error> {
    let file = source::open(path)?;
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| damaged(path, error))?;
    let fields = metadata.schema().fields();
    let mut places = Vec::with_capacity(names.len());
    for known in names {
        let place = known.iter().find_map(|name| fields.iter().position(|field| field.name() == name));
        let missing = || {
            let columns: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            Problem::new(format!("a column {:?}", known[0]), format!("the columns {}", columns.join(", ")))
                .of_file(path)
        };
        places.push(place.ok_or_else(missing)?);
    }
    let mask = ProjectionMask::roots(metadata.parquet_schema(), places.iter().copied());
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).with_projection(mask);
    let mut rows = 0;
    for batch in reader.build().map_err(|error| damaged(path, error))? {
        let batch: RecordBatch = batch.map_err(|error| damaged(path, error))?;
        // Projected columns stand in the order of the file.
        let mut order = places.clone();
        order.sort_unstable();
        let column = |place: &usize| batch.column(order.iter().position(|known| known == place).unwrap_or(0)).as_ref();
        let columns: Vec<&dyn Array> = places.iter().map(column).collect();
        take(&columns, rows)?;
        rows += batch.num_rows() as u64;
    }
    Ok(())
}

fn take(table: Table, columns: &[&dyn Array], found: &mut Found<'_>) -> Result<(), (usize, Problem)> {
    let rows = columns.first().map_or(0, |column| column.len());
    let text = |at: usize, what: &'static str| texts_of(columns[at], what).map_err(|problem| (0, problem));
    match table {
        Table::TextUnits => {
            let (ids, texts) = (text(0, "the id of a text unit")?, text(1, "the text of a text unit")?);
            for row in 0..rows {
                let mut unit = || {
                    let id = format!("{PASSAGE_PREFIX}{}", ids.id(row)?);
                    found.passage(id, Some(texts.id(row)?.into_owned()))
                };
                unit().map_err(|problem| (row, problem))?;
            }
        }
        Table::Entities => {
            let titles = text(0, "the title of an entity")?;
            for row in 0..rows {
                let mut entity = || {
                    let title = titles.id(row)?;
                    found.mark(&title, kinds::ENTITY);
                    let units = list(columns[1], row)?;
                    let Some(units) = units else { return Ok(()) };
                    let ids = texts_of(units.as_ref(), "the id of a text unit")?;
                    for at in 0..units.len() {
                        let id = format!("{PASSAGE_PREFIX}{}", ids.id(at)?);
                        found.mark(&id, kinds::PASSAGE);
                        let passage = found.sink.source(id.as_bytes())?;
                        found.mention(passage, &title, Some(1.0))?;
                    }
                    Ok(())
                };
                entity().map_err(|problem| (row, problem))?;
            }
        }
        Table::Relationships => {
            let (sources, targets) =
                (text(0, "the source of a relationship")?, text(1, "the target of a relationship")?);
            if !is_number(columns[2].data_type()) {
                return Err((0, Problem::new("weights that are numbers", columns[2].data_type().to_string())));
            }
            let weights = Column::new(columns[2], "a weight");
            for row in 0..rows {
                let mut edge = || {
                    let (source, target) = (sources.id(row)?, targets.id(row)?);
                    found.mark(&source, kinds::ENTITY);
                    found.mark(&target, kinds::ENTITY);
                    let (source, target) =
                        (found.sink.source(source.as_bytes())?, found.sink.target(target.as_bytes())?);
                    found.sink.edge(source, target, Some(weights.weight(row)?), Some(RELATED))
                };
                edge().map_err(|problem| (row, problem))?;
            }
        }
    }
    Ok(())
}

/// A column of strings (or of integers, as some tools write ids).
fn texts_of<'batch>(column: &'batch dyn Array, what: &'static str) -> Result<Column<'batch>, Problem> {
    if is_text(column.data_type()) || is_integer(column.data_type()) {
        return Ok(Column::new(column, what));
    }
    Err(Problem::new(format!("{what}: strings"), column.data_type().to_string()))
}

/// The list in a row; `None` for a null.
fn list(column: &dyn Array, row: usize) -> Result<Option<std::sync::Arc<dyn Array>>, Problem> {
    if column.is_null(row) {
        return Ok(None);
    }
    if let Some(lists) = column.as_list_opt::<i32>() {
        return Ok(Some(lists.value(row)));
    }
    match column.as_list_opt::<i64>() {
        Some(lists) => Ok(Some(lists.value(row))),
        None => Err(Problem::new("a list of ids of text units", column.data_type().to_string())),
    }
}
