//! Which column holds what of an event.

use super::EventOptions;
use crate::columns::{PAIRS, plain};
use crate::error::{Problem, quoted};
use crate::interactions::columns::{ITEMS, TIMES, USERS, WEIGHTS};

/// The columns of a table of events, as places from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) source: Option<usize>,
    pub(super) target: Option<usize>,
    pub(super) user: Option<usize>,
    pub(super) item: Option<usize>,
    pub(super) node: Option<usize>,
    pub(super) weight: Option<usize>,
    pub(super) kind: Option<usize>,
    pub(super) operation: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) event_id: Option<usize>,
    /// How many columns a row has.
    pub(super) count: usize,
}

/// Whether the options name columns by their numbers, so that there is no header.
pub(super) fn are_numbered(options: &EventOptions) -> Result<bool, Problem> {
    let is_number = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
    let given: Vec<&str> = options.columns().into_iter().flatten().collect();
    match given.iter().filter(|name| is_number(name)).count() {
        0 => Ok(false),
        numbers if numbers == given.len() && options.source_col.is_some() && options.target_col.is_some() => Ok(true),
        _ => {
            let expected = "all columns by number (no header; source and target too), or all by name";
            Err(Problem::new(expected, given.iter().map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ")))
        }
    }
}

impl Columns {
    /// Columns by number, from 1, in rows of so many.
    pub(super) fn by_number(options: &EventOptions, count: usize) -> Result<Columns, Problem> {
        let place = |column: &Option<String>| match column.as_deref().map(|column| (column, column.parse::<usize>())) {
            None => Ok(None),
            Some((_, Ok(number))) if (1..=count).contains(&number) => Ok(Some(number - 1)),
            Some((column, _)) => Err(Problem::new(format!("a column from 1 to {count}"), format!("column {column}"))),
        };
        let columns = Columns {
            source: place(&options.source_col)?,
            target: place(&options.target_col)?,
            weight: place(&options.weight_col)?,
            kind: place(&options.type_col)?,
            operation: place(&options.op_col)?,
            time: place(&options.time_col)?,
            event_id: place(&options.event_id_col)?,
            count,
            ..Columns::default()
        };
        columns.checked(|place| format!("column {}", place + 1))
    }

    /// Columns by the names of a header.
    pub(super) fn by_header(options: &EventOptions, header: &[String]) -> Result<Columns, Problem> {
        let list = || header.iter().map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
        let find = |asked: &Option<String>, names: &[&str]| -> Result<Option<usize>, Problem> {
            let fits = |column: &String| match asked {
                Some(name) => column == name || plain(column).eq_ignore_ascii_case(name),
                None => names.iter().any(|name| plain(column).eq_ignore_ascii_case(name)),
            };
            let mut places = (0..header.len()).filter(|&place| fits(&header[place]));
            match (places.next(), places.next(), asked) {
                (Some(_), Some(_), _) => {
                    let what = asked.clone().unwrap_or_else(|| names.join(" or "));
                    Err(Problem::new(format!("one column {what}"), format!("the columns {}", list())))
                }
                (None, _, Some(name)) => Err(Problem::new(
                    format!("a column {}", quoted(name.as_bytes())),
                    format!("the columns {}", list()),
                )),
                (place, ..) => Ok(place),
            }
        };
        let mut columns = Columns {
            node: find(&None, &["node"])?,
            kind: find(&options.type_col, &["type"])?,
            operation: find(&options.op_col, &["op"])?,
            time: find(&options.time_col, &TIMES)?,
            event_id: find(&options.event_id_col, &["event_id"])?,
            count: header.len(),
            ..Columns::default()
        };
        if options.source_col.is_some() || options.target_col.is_some() {
            columns.source = find(&options.source_col, &PAIRS.map(|(source, _)| source))?;
            columns.target = find(&options.target_col, &PAIRS.map(|(_, target)| target))?;
        } else {
            let (mut user, mut item) = (find(&None, &USERS)?, find(&None, &ITEMS)?);
            if user.is_none() || item.is_none() {
                (user, item) = (None, None); // one of them alone may be anything
            }
            (columns.user, columns.item) = (user, item);
            let mut pairs = Vec::new();
            for (source, target) in PAIRS {
                if let (Some(source), Some(target)) = (find(&None, &[source])?, find(&None, &[target])?)
                    && !pairs.contains(&(source, target))
                {
                    pairs.push((source, target));
                }
            }
            if 1 < pairs.len() + usize::from(user.is_some()) {
                let expected =
                    "only one pair of columns that could be ends of edges (say which: --source-col, --target-col)";
                return Err(Problem::new(expected, format!("the columns {}", list())));
            }
            if let Some(&(source, target)) = pairs.first() {
                (columns.source, columns.target) = (Some(source), Some(target));
            }
        }
        let weights: &[&str] = if columns.user.is_some() { &WEIGHTS } else { &["weight"] };
        columns.weight = find(&options.weight_col, weights)?;
        let edges = columns.source.is_some() && columns.target.is_some();
        if !(edges || columns.user.is_some() || columns.node.is_some()) {
            let expected = "a header with columns for source and target (src,dst · source,target · source,destination · \
                            from,to · user_id,item_id, or --source-col NAME --target-col NAME; for a file without a header: \
                            --source-col 1 --target-col 2), or a column node";
            return Err(Problem::new(expected, format!("the columns {}", list())));
        }
        columns.checked(|place| header[place].clone())
    }

    /// Refuses a column that is to be two things.
    fn checked(self, name: impl Fn(usize) -> String) -> Result<Columns, Problem> {
        let used = self.used();
        match (1..used.len()).find(|&at| used[..at].contains(&used[at])) {
            None => Ok(self),
            Some(at) => Err(Problem::new("different columns for everything", quoted(name(used[at]).as_bytes()))),
        }
    }

    /// The places of the columns that are read.
    pub(super) fn used(&self) -> Vec<usize> {
        let Columns { source, target, user, item, node, weight, kind, operation, time, event_id, count: _ } = *self;
        let all = [source, target, user, item, node, weight, kind, operation, time, event_id];
        all.into_iter().flatten().collect()
    }

    /// The names of the columns that are not looked at.
    pub(super) fn ignored(&self, header: &[String]) -> Vec<String> {
        let used = self.used();
        (0..self.count).filter(|place| !used.contains(place)).map(|place| header[place].clone()).collect()
    }
}
