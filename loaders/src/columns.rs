//! Which column holds what.

use serde::{Deserialize, Serialize};

use crate::LoadOptions;
use crate::error::{Problem, quoted};
use crate::gather::{Sink, parse_weight};

/// Pairs of names that are recognised as source and target, in any case of letters.
pub(crate) const PAIRS: [(&str, &str); 4] =
    [("src", "dst"), ("source", "target"), ("source", "destination"), ("from", "to")];

/// The columns of a file, as places from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) weight: Option<usize>,
    pub(crate) kind: Option<usize>,
    /// Whether types weigh edges.
    pub(crate) uses_types: bool,
    /// How many columns a line has.
    pub(crate) count: usize,
    pub(crate) names: ColumnNames,
}

/// The columns as a report names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ColumnNames {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) weight: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) ignored: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// How the options name columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// No column is named.
    Not,
    /// By numbers, from 1.
    Numbers,
    /// By the names of a header.
    Names,
}

/// How the options name columns; naming some by number and some by name is refused.
pub(crate) fn named(options: &LoadOptions) -> Result<Named, Problem> {
    let mut named = Named::Not;
    for column in given(options) {
        let this = if column.bytes().all(|byte| byte.is_ascii_digit()) { Named::Numbers } else { Named::Names };
        if named != Named::Not && named != this {
            return Err(Problem::new("all columns by number (no header) or all by name", quoted(column.as_bytes())));
        }
        named = this;
    }
    Ok(named)
}

fn given(options: &LoadOptions) -> impl Iterator<Item = &str> {
    [&options.source_col, &options.target_col, &options.weight_col, &options.type_col]
        .into_iter()
        .filter_map(Option::as_deref)
}

impl Columns {
    /// Columns by number. Source and target are columns 1 and 2 unless said otherwise; a third column of three holds
    /// weights if no column is named at all.
    pub(crate) fn by_number(options: &LoadOptions, count: usize) -> Result<Columns, Problem> {
        let place = |column: &str| match column.parse::<usize>() {
            Ok(number) if 1 <= number && number <= count => Ok(number - 1),
            _ => Err(Problem::new(format!("a column from 1 to {count}"), format!("column {column}"))),
        };
        let place_of = |column: &Option<String>| column.as_deref().map(place).transpose();
        let weight = match place_of(&options.weight_col)? {
            None if given(options).next().is_none() && count == 3 => Some(2),
            weight => weight,
        };
        let columns = Columns {
            source: place_of(&options.source_col)?.unwrap_or(0),
            target: place_of(&options.target_col)?.unwrap_or(1),
            weight,
            kind: place_of(&options.type_col)?,
            uses_types: options.uses_types(),
            count,
            names: ColumnNames::default(),
        };
        columns.finish(|place| format!("column {}", place + 1))
    }

    /// Columns by the names of a header.
    pub(crate) fn by_header(options: &LoadOptions, header: &[String]) -> Result<Columns, Problem> {
        let list = || header.iter().map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
        let unique = |name: &str, same: &dyn Fn(&str) -> bool| {
            let mut places = header.iter().enumerate().filter(|(_, column)| same(column)).map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(_), Some(_)) => Err(Problem::new(
                    format!("one column {}", quoted(name.as_bytes())),
                    format!("the columns {}", list()),
                )),
                (place, _) => Ok(place),
            }
        };
        let recognised = |name: &str| unique(name, &|column: &str| plain(column).eq_ignore_ascii_case(name));
        // A column that the user names: letter by letter if there is one, else as recognised columns are found.
        let asked = |option: &Option<String>| -> Result<Option<usize>, Problem> {
            let Some(name) = option else { return Ok(None) };
            let place = match unique(name, &|column: &str| column == name)? {
                None => recognised(name)?,
                place => place,
            };
            let missing =
                || Problem::new(format!("a column {}", quoted(name.as_bytes())), format!("the columns {}", list()));
            place.map(Some).ok_or_else(missing)
        };
        let (mut source, mut target) = (asked(&options.source_col)?, asked(&options.target_col)?);
        if source.is_none() || target.is_none() {
            let mut pairs = Vec::new();
            for (first, second) in PAIRS {
                // A column that was named takes the place of the pair's.
                let first = match source {
                    None => recognised(first)?,
                    place => place,
                };
                let second = match target {
                    None => recognised(second)?,
                    place => place,
                };
                if let (Some(first), Some(second)) = (first, second)
                    && !pairs.contains(&(first, second))
                {
                    pairs.push((first, second));
                }
            }
            match pairs.as_slice() {
                &[(first, second)] => (source, target) = (Some(first), Some(second)),
                [] => {
                    let expected = "a header with columns for source and target (src,dst · source,target · \
                                    source,destination · from,to, or --source-col NAME --target-col NAME; for a file without a header: --source-col 1 --target-col 2)";
                    return Err(Problem::new(expected, format!("the columns {}", list())));
                }
                _ => {
                    let expected = "only one pair of columns that could be source and target (say which: --source-col, \
                                    --target-col)";
                    return Err(Problem::new(expected, format!("the columns {}", list())));
                }
            }
        }
        let (Some(source), Some(target)) = (source, target) else { unreachable!("both were found above") };
        let weight = match asked(&options.weight_col)? {
            None => recognised("weight")?,
            place => place,
        };
        let kind = match asked(&options.type_col)? {
            None => recognised("type")?,
            place => place,
        };
        if options.uses_types() && kind.is_none() {
            let expected = "a column of types (--type-col NAME), because types were given weights";
            return Err(Problem::new(expected, format!("the columns {}", list())));
        }
        let names = ColumnNames::default();
        let uses_types = options.uses_types();
        Columns { source, target, weight, kind, uses_types, count: header.len(), names }
            .finish(|place| header[place].clone())
    }

    /// Refuses columns that make no sense together, and gives all of them their names.
    fn finish(mut self, name: impl Fn(usize) -> String) -> Result<Columns, Problem> {
        if self.source == self.target {
            return Err(Problem::new("different columns for source and target", quoted(name(self.source).as_bytes())));
        }
        if self.uses_types && self.kind.is_none() {
            return Err(Problem::new("a column of types (--type-col), because types were given weights", "none"));
        }
        let used = [Some(self.source), Some(self.target), self.weight, self.kind];
        let ignored = (0..self.count).filter(|place| !used.contains(&Some(*place))).map(&name).collect();
        let mut notes = Vec::new();
        let (source, target) = (name(self.source), name(self.target));
        if plain(&source).eq_ignore_ascii_case("user_id") && plain(&target).eq_ignore_ascii_case("item_id") {
            notes.push("users and items share one set of ids: user 5 and item 5 are the same node".to_owned());
        }
        self.names =
            ColumnNames { source, target, weight: self.weight.map(&name), kind: self.kind.map(&name), ignored, notes };
        Ok(self)
    }

    /// Whether edges have weights.
    pub(crate) fn weighted(&self) -> bool {
        self.weight.is_some() || self.uses_types
    }

    /// Whether the user asked for the column of types.
    pub(crate) fn needs_types(&self, options: &LoadOptions) -> bool {
        self.uses_types || options.type_col.is_some()
    }

    /// Takes the column of types for one that holds something else.
    pub(crate) fn leave_types_out(&mut self) {
        self.kind = None;
        self.names.ignored.extend(self.names.kind.take());
    }

    /// Hands an edge over, whose columns `field` gives.
    pub(crate) fn take<'field>(&self, sink: &mut Sink, field: impl Fn(usize) -> &'field [u8]) -> Result<(), Problem> {
        let source = sink.source(field(self.source))?;
        let target = sink.target(field(self.target))?;
        let weight = self.weight.map(|place| parse_weight(field(place))).transpose()?;
        sink.edge(source, target, weight, self.kind.map(field))
    }
}

/// Whether a header names a source and a target in a way that is recognised.
pub(crate) fn is_recognised(header: &[impl AsRef<str>]) -> bool {
    let has = |name: &str| header.iter().any(|column| plain(column.as_ref()).eq_ignore_ascii_case(name));
    PAIRS.iter().any(|(source, target)| has(source) && has(target))
}

/// A column's name without blanks around it and without the type that RecBole's files add (`user_id:token`).
pub(crate) fn plain(column: &str) -> &str {
    let column = column.trim();
    column.split_once(':').map_or(column, |(name, _)| name)
}

/// Why the first line of data looks like a header that nobody said was there, if it does.
///
/// `first` and `second`: source and target of the first two lines of data.
pub(crate) fn header_in_disguise(first: [&[u8]; 2], second: Option<[&[u8]; 2]>) -> Option<Problem> {
    let integer = |id: &[u8]| walkprint_engine::ids::canonical_integer(id).is_some();
    let names = first.map(String::from_utf8_lossy);
    let by_name = is_recognised(&names);
    let by_content = second.is_some_and(|second| second.into_iter().all(integer)) && !first.into_iter().any(integer);
    (by_name || by_content).then(|| {
        let expected = "an edge (if this line is a header, begin it with # or give --format csv or tsv and the columns' \
                        names; if it is an edge, give --format as well)";
        Problem::new(expected, format!("{}, {}", quoted(first[0]), quoted(first[1])))
    })
}
