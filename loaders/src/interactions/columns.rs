//! Which column holds users, items, ratings and times.

use super::{ColumnsFound, InteractionOptions};
use crate::columns::plain;
use crate::error::{Problem, quoted};

/// Names that are recognised, in any case of letters.
pub(crate) const USERS: [&str; 4] = ["user_id", "userid", "user", "uid"];
pub(crate) const ITEMS: [&str; 6] = ["item_id", "itemid", "item", "iid", "movie_id", "movieid"];
pub(crate) const WEIGHTS: [&str; 2] = ["weight", "rating"];
pub(crate) const TIMES: [&str; 2] = ["timestamp", "time"];

/// The columns of a file, as places from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) user: usize,
    pub(super) item: usize,
    pub(super) weight: Option<usize>,
    pub(super) time: Option<usize>,
    /// How many columns a record has.
    pub(super) count: usize,
    pub(super) found: ColumnsFound,
}

/// Whether a header names a user and an item.
pub(super) fn are_recognised(header: &[impl AsRef<str>]) -> bool {
    let has = |names: &[&str]| header.iter().any(|column| is_one_of(column.as_ref(), names));
    has(&USERS) && has(&ITEMS)
}

pub(crate) fn is_one_of(column: &str, names: &[&str]) -> bool {
    names.iter().any(|name| plain(column).eq_ignore_ascii_case(name))
}

impl Columns {
    /// Columns by the names of a header.
    pub(super) fn by_header(options: &InteractionOptions, header: &[String]) -> Result<Columns, Problem> {
        let list = || header.iter().map(|name| quoted(name.as_bytes())).collect::<Vec<_>>().join(", ");
        let find = |asked: &Option<String>, names: &[&str], option: &str| -> Result<Option<usize>, Problem> {
            let fits = |column: &String| match asked {
                Some(name) => column == name || plain(column).eq_ignore_ascii_case(name),
                None => is_one_of(column, names),
            };
            let mut places = (0..header.len()).filter(|&place| fits(&header[place]));
            let (first, second) = (places.next(), places.next());
            match (first, second, asked) {
                (Some(_), Some(_), _) => {
                    let what = asked.clone().unwrap_or_else(|| names.join(" or "));
                    Err(Problem::new(
                        format!("one column {what} (say which: {option} NAME)"),
                        format!("the columns {}", list()),
                    ))
                }
                (None, _, Some(name)) => Err(Problem::new(
                    format!("a column {}", quoted(name.as_bytes())),
                    format!("the columns {}", list()),
                )),
                (place, ..) => Ok(place),
            }
        };
        let user = find(&options.user_col, &USERS, "--source-col")?;
        let item = find(&options.item_col, &ITEMS, "--target-col")?;
        let (Some(user), Some(item)) = (user, item) else {
            let expected = "a header with columns for user and item (user_id,item_id · user,item · userId,movieId, or \
                            --source-col NAME --target-col NAME)";
            return Err(Problem::new(expected, format!("the columns {}", list())));
        };
        if user == item {
            return Err(Problem::new("different columns for user and item", quoted(header[user].as_bytes())));
        }
        let weight = find(&options.weight_col, &WEIGHTS, "--weight-col")?;
        let time = find(&options.time_col, &TIMES, "--time-col")?;
        let name = |place: usize| plain(&header[place]).to_owned();
        let used = [Some(user), Some(item), weight, time];
        let found = ColumnsFound {
            user: name(user),
            item: name(item),
            weight: weight.map(name),
            time: time.map(name),
            ignored: (0..header.len()).filter(|place| !used.contains(&Some(*place))).map(name).collect(),
        };
        Ok(Columns { user, item, weight, time, count: header.len(), found })
    }
}
