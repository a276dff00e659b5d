//! Who had to do with what: users, items, and how much and when.
//!
//! [`read`] reads files of one format, [`Interactions::prepare`] makes weights of what was read, [`Interactions::hold_out`]
//! takes some of it away for an evaluation, and [`Interactions::into_edges`] makes a graph of the rest.
//!
//! **Users and items are different nodes, whatever their ids**: user 5 becomes the node `user:5`, item 5 the node `item:5`, with
//! the types `user` and `item`. (Kept by `user_5_and_item_5_are_two_nodes` in `tests/interactions.rs`.)
//!
//! | format | a line | file |
//! |---|---|---|
//! | `lightgcn` | `user item item …`, separated by blanks | `lightgcn.rs` |
//! | `recbole` | tabs, under a header `user_id:token`, `item_id:token`, … | `table.rs` |
//! | `interactions` | CSV or TSV under a header with columns for user and item; a row of a Parquet file | `table.rs`, `columnar.rs` |
//!
//! Nothing is skipped silently, as everywhere in this crate. One thread reads.

mod names;

pub(crate) mod columns;

mod gather;

mod lightgcn;

mod table;

mod columnar;

mod prepare;

mod hold_out;

mod edges;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use walkprint_engine::ids::StringTable;

use crate::blocks::{BLOCK_BYTES, Blocks};
use crate::error::Problem;
use crate::source::{self, Source};
use crate::text::BYTE_ORDER_MARK;
use crate::{Error, Format, LoadOptions, Progress, files_of};

pub use edges::{ITEM, ITEM_PREFIX, USER, USER_PREFIX};
pub use hold_out::{HoldOut, UnknownHoldOut};
pub use prepare::{Duplicates, Preparation, UnknownDuplicates};

use gather::Gatherer;

/// How interactions are to be read. Columns are those of [`LoadOptions`]: the source is the user, the target the item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InteractionOptions {
    /// The format, if it is not to be found by name and header; it must be one of interactions.
    pub format: Option<Format>,
    /// The column of the users.
    pub user_col: Option<String>,
    /// The column of the items.
    pub item_col: Option<String>,
    /// The column of the ratings.
    pub weight_col: Option<String>,
    /// The column of the times.
    pub time_col: Option<String>,
    /// Ratings below this are left out and counted; without it, a rating below zero is an error.
    pub min_rating: Option<f64>,
}

impl InteractionOptions {
    /// The columns and the format that were named for edges, meant for interactions.
    #[must_use]
    pub fn of(options: &LoadOptions) -> InteractionOptions {
        InteractionOptions {
            format: options.format,
            user_col: options.source_col.clone(),
            item_col: options.target_col.clone(),
            weight_col: options.weight_col.clone(),
            time_col: None,
            min_rating: None,
        }
    }
}

/// One user and one item. Numbers are places in the tables of [`Interactions`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// The user.
    pub user: u32,
    /// The item.
    pub item: u32,
    /// The rating as it was read, 1 where there is none; after [`Interactions::prepare`] the weight. Not negative.
    pub weight: f64,
    /// Seconds since 1970 or whatever the file counts in; 0 where there are no times.
    pub time: f64,
}

/// What was read, in the order of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// The ids of the users, as they came first.
    pub users: StringTable,
    /// The ids of the items, as they came first.
    pub items: StringTable,
    /// The interactions.
    pub rows: Vec<Interaction>,
    /// Whether there are times.
    pub timed: bool,
    /// Whether there are ratings.
    pub rated: bool,
    /// What was read and how it was understood.
    pub read: Reading,
}

/// What was counted while reading, and which columns were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The format of the first file.
    pub format: Format,
    /// How many files were read.
    pub files: usize,
    /// Lines, headers included; rows of Parquet files.
    pub lines: u64,
    /// Bytes of the files on disk.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_parsed: u64,
    /// Interactions of the input.
    pub interactions: u64,
    /// How many of them were left out because of their rating.
    pub below_rating: u64,
    /// Smallest and largest rating.
    pub rating_range: Option<(f64, f64)>,
    /// Where users, items, ratings and times were found.
    pub columns: ColumnsFound,
}

/// The columns by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnsFound {
    /// Users.
    pub user: String,
    /// Items.
    pub item: String,
    /// Ratings.
    pub weight: Option<String>,
    /// Times.
    pub time: Option<String>,
    /// Not looked at.
    pub ignored: Vec<String>,
}

/// Whether the files hold interactions rather than edges: their format says so, or the first file's name or header does.
/// A file `user item item …` is not recognised: it looks like an edge list.
///
/// # Errors
/// When the first file cannot be opened.
pub fn are_interactions(paths: &[PathBuf], options: &LoadOptions) -> Result<bool, Error> {
    if let Some(format) = options.format
        && !matches!(format, Format::Csv | Format::Tsv | Format::Parquet)
    {
        return Ok(format.holds_interactions());
    }
    if options.source_col.is_some() || options.target_col.is_some() {
        return Ok(false); // whoever names the columns of edges means edges, unless the format says otherwise
    }
    let Some(first) = files_of(paths)?.into_iter().next() else { return Ok(false) };
    match options.format.or_else(|| Format::from_name(&first)) {
        Some(Format::RecBole) => Ok(true),
        Some(Format::Parquet) => Ok(columnar::header(&first).is_ok_and(|names| columns::are_recognised(&names))),
        Some(Format::Csv | Format::Tsv) | None => table::is_recognised(&first),
        Some(_) => Ok(false),
    }
}

/// Reads all interactions of `paths`, in order. A directory stands for its files.
///
/// `progress` is called every few megabytes; when it answers [`ControlFlow::Break`] the reading stops with
/// [`Error::Interrupted`]. Memory: 24 bytes an interaction, and the ids.
///
/// # Errors
/// Whatever keeps the files from being read in full, with file and line: see [`Error`].
///
/// ```
/// # use std::ops::ControlFlow;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use walkprint_loaders::interactions::{InteractionOptions, read};
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("ratings.csv");
/// std::fs::write(&path, "user_id,item_id,rating\nann,5,4\nbob,5,1\n")?;
/// let read = read(&[path], &InteractionOptions::default(), &|_| ControlFlow::Continue(()))?;
/// assert_eq!((read.users.len(), read.items.len(), read.rows.len()), (2, 1, 2));
/// # Ok(())
/// # }
/// ```
pub fn read(
    paths: &[PathBuf],
    options: &InteractionOptions,
    progress: &dyn Fn(Progress) -> ControlFlow<()>,
) -> Result<Interactions, Error> {
    let paths = files_of(paths)?;
    let Some(first) = paths.first() else { return Err(Error::NoInput) };
    if let Some(least) = options.min_rating
        && !(0.0..f64::INFINITY).contains(&least)
    {
        let expected = "a finite rating of at least 0, because weights are not negative";
        return Err(Error::Option { option: "--min-rating", expected, got: least.to_string() });
    }
    let bytes_total = paths.iter().map(|path| source::length(path)).sum::<Result<u64, Error>>()?;
    let bytes_read = Arc::new(AtomicU64::new(0));
    let tell = || match progress(Progress { bytes_read: bytes_read.load(Ordering::Relaxed), bytes_total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted),
    };
    let mut gatherer = Gatherer::new(options);
    let mut first_format = None;
    for path in &paths {
        let format = format_of(path, options);
        if let Some(expected) = first_format.filter(|&first| first != format) {
            let (first, path) = (first.clone(), path.clone());
            return Err(Error::MixedFormats { first, expected, path, got: format });
        }
        first_format = Some(format);
        let before = gatherer.rows.len();
        match format {
            Format::LightGcn => {
                read_text(path, &bytes_read, &tell, |blocks| lightgcn::read(blocks, &mut gatherer, &tell))
            }
            Format::RecBole => {
                read_text(path, &bytes_read, &tell, |blocks| table::read(blocks, true, options, &mut gatherer, &tell))
            }
            _ if columnar::is_parquet(path) => columnar::read(path, options, &mut gatherer, &bytes_read, &tell),
            _ => {
                read_text(path, &bytes_read, &tell, |blocks| table::read(blocks, false, options, &mut gatherer, &tell))
            }
        }?;
        if gatherer.rows.len() == before && gatherer.left_out_since() == 0 && gatherer.silent_users_since() == 0 {
            return Err(Problem::new("interactions", "a file without any").of_file(path));
        }
    }
    let bytes_read = bytes_read.load(Ordering::Relaxed);
    Ok(gatherer.finish(first_format.unwrap_or(Format::Interactions), paths.len(), bytes_read))
}

/// The format of one file.
fn format_of(path: &Path, options: &InteractionOptions) -> Format {
    match options.format.filter(|format| format.holds_interactions()) {
        Some(format) => format,
        None if Format::from_name(path) == Some(Format::RecBole) => Format::RecBole,
        None => Format::Interactions,
    }
}

/// Opens a text file, past a byte order mark.
fn read_text(
    path: &Path,
    bytes_read: &Arc<AtomicU64>,
    tell: &dyn Fn() -> Result<(), Error>,
    parse: impl FnOnce(&mut Blocks) -> Result<(), Error>,
) -> Result<(), Error> {
    tell()?;
    let mut blocks = Blocks::new(Source::open(path, bytes_read)?, BLOCK_BYTES);
    blocks.grow()?;
    if blocks.head().starts_with(BYTE_ORDER_MARK) {
        blocks.skip(BYTE_ORDER_MARK.len());
    }
    if blocks.head().is_empty() && blocks.ended() {
        return Err(Problem::new("interactions", "an empty file").at_line(path, 1));
    }
    if blocks.head().starts_with(b"PAR1") {
        let got = "a Parquet file (name it .parquet)";
        return Err(Problem::new("text", got).at_line(path, 1));
    }
    parse(&mut blocks)
}

impl Interactions {
    /// The users that have no interaction left.
    #[must_use]
    pub fn users_without_history(&self) -> usize {
        let seen: BTreeSet<u32> = self.rows.iter().map(|row| row.user).collect();
        self.users.len() - seen.len()
    }
}
