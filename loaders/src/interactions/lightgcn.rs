//! LightGCN's files: a user a line, then her items, separated by blanks. A user may stand in several lines; a line with a
//! user alone is a user without history.

use super::ColumnsFound;
use super::gather::Gatherer;
use crate::Error;
use crate::blocks::{Blocks, Cut, lines_in};
use crate::edge_list::next_line;
use crate::error::{Problem, quoted};

/// Reads a file.
pub(super) fn read(
    blocks: &mut Blocks,
    gatherer: &mut Gatherer,
    tell: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let found =
        ColumnsFound { user: "first of a line".to_owned(), item: "the others".to_owned(), ..Default::default() };
    gatherer.begin(found).map_err(|problem| blocks.at_line(problem, 1))?;
    while let Some((first_line, bytes)) = blocks.next_block(Cut::Lines)? {
        let (mut rest, mut line) = (bytes.as_slice(), first_line);
        while !rest.is_empty() {
            let text = next_line(&mut rest);
            take(text, gatherer).map_err(|problem| blocks.at_line(problem, line))?;
            line += 1;
        }
        gatherer.lines += lines_in(&bytes) + u64::from(!bytes.ends_with(b"\n"));
        tell()?;
    }
    gatherer.bytes_parsed += blocks.bytes();
    Ok(())
}

fn take(text: &[u8], gatherer: &mut Gatherer) -> Result<(), Problem> {
    let mut fields = text.split(|&byte| byte == b' ' || byte == b'\t').filter(|field| !field.is_empty());
    let Some(user) = fields.next() else { return Ok(()) };
    let mut fields = fields.peekable();
    if fields.peek().is_none() && memchr::memchr2(b',', b';', user).is_some() {
        let expected = "user item item …, separated by blanks (for commas: --format interactions)";
        return Err(Problem::new(expected, quoted(text)));
    }
    let user = gatherer.user(user)?;
    if fields.peek().is_none() {
        gatherer.silent_user();
    }
    fields.try_for_each(|item| gatherer.take(user, item, None, None))
}
