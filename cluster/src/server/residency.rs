//! How much of a store's files lies in memory, as the system's list of this process's memory maps says.

use std::path::{Path, PathBuf};

/// Memory maps of some files, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mapped {
    /// All that is mapped.
    pub(super) mapped: u64,
    /// The part of it that lies in memory.
    pub(super) resident: u64,
}

/// The maps of the files below each directory; nothing where the system does not tell. Cost: some microseconds a map.
pub(super) fn of_directories(directories: &[PathBuf]) -> Vec<Mapped> {
    let list = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    // The list has real paths.
    let real: Vec<PathBuf> =
        directories.iter().map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())).collect();
    read(&list, &real)
}

fn read(list: &str, directories: &[PathBuf]) -> Vec<Mapped> {
    let mut found = vec![Mapped::default(); directories.len()];
    let mut current = None;
    for line in list.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(first), second) = (words.next(), words.next()) else { continue };
        let kilobytes = || second.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024;
        match first {
            "Size:" => current.into_iter().for_each(|at: usize| found[at].mapped += kilobytes()),
            "Rss:" => current.into_iter().for_each(|at: usize| found[at].resident += kilobytes()),
            // 7f01c0000000-7f01c0021000 r--p 00000000 fe:00 1234    /srv/web.wp/graph-1.wpg
            range if range.contains('-') && !range.ends_with(':') => {
                let path = line.find('/').map(|at| Path::new(&line[at..]));
                current = path.and_then(|path| directories.iter().position(|directory| path.starts_with(directory)));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_added_up_by_directory() {
        let list = "\
7f01c0000000-7f01c0021000 r--p 00000000 fe:00 1234    /srv/web.wp/graph-1.wpg
Size:                132 kB
Rss:                  64 kB
7f01c0021000-7f01c0022000 r--p 00000000 fe:00 1235    /srv/web.wp/index-default-1/segment-000000.wps (deleted)
Size:                  4 kB
Rss:                   4 kB
7f01c0022000-7f01c0023000 rw-p 00000000 00:00 0
Size:                  8 kB
Rss:                   8 kB
7f01c0023000-7f01c0024000 r--p 00000000 fe:00 9       /srv/web.wp.old/graph-1.wpg
Size:                 16 kB
Rss:                  16 kB
";
        let found = read(list, &[PathBuf::from("/srv/other.wp"), PathBuf::from("/srv/web.wp")]);
        assert_eq!(found, [Mapped::default(), Mapped { mapped: 136 << 10, resident: 68 << 10 }]);
    }

    #[test]
    fn a_mapped_file_of_this_process_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let labels = walkprint_engine::ids::ExternalIds::Integers((0..100_000).collect());
        let path = directory.path().join("labels.wpl");
        walkprint_engine::labels::Labels::write_in_order(&path, &labels).unwrap();
        let opened = walkprint_engine::labels::Labels::open(&path).unwrap();
        assert_eq!(opened.id(7).unwrap(), "7");
        let Mapped { mapped, resident } = of_directories(&[directory.path().to_owned()])[0];
        assert!(800_000 <= mapped && 0 < resident && resident <= mapped, "{mapped} {resident}");
    }
}
