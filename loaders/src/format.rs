//! The formats, and which one a file has by its name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// `edge-list`: a line an edge, columns separated by tabs or blanks, no header, `#` and `%` comments.
    EdgeList,
    /// `csv`: commas, quotes as in RFC 4180, a header with the columns' names.
    Csv,
    /// `tsv`: as CSV with tabs.
    Tsv,
    /// `matrix-market`: coordinate matrices, an entry an edge.
    MatrixMarket,
    /// `parquet`: a row an edge.
    Parquet,
    /// `lightgcn`: a line a user and her items, separated by blanks.
    #[serde(rename = "lightgcn")]
    LightGcn,
    /// `recbole`: interactions of users with items, tabs, a header with types.
    #[serde(rename = "recbole")]
    RecBole,
    /// `interactions`: CSV, TSV or Parquet with columns for user and item.
    Interactions,
    /// `triples`: head, relation and tail, separated by tabs, no header; the relation is the type of the edge.
    Triples,
    /// `ukb`: relations of UKB, `u:NODE v:NODE` and perhaps `s:`, `t:`, `w:`, `d:`; both ways unless `d:1`.
    Ukb,
    /// `openie`: what HippoRAG's extraction writes: passages as JSON, with their entities and triples.
    #[serde(rename = "openie")]
    OpenIe,
    /// `ntriples`: a triple a line.
    #[serde(rename = "ntriples")]
    NTriples,
    /// `turtle`: triples with prefixes and abbreviations.
    Turtle,
    /// `graphrag`: the Parquet tables of Microsoft's GraphRAG: entities, relationships, text_units.
    #[serde(rename = "graphrag")]
    GraphRag,
}

impl Format {
    /// All formats, in the order in which they are listed to users.
    pub const ALL: [Format; 14] = [
        Format::EdgeList,
        Format::Csv,
        Format::Tsv,
        Format::MatrixMarket,
        Format::Parquet,
        Format::LightGcn,
        Format::RecBole,
        Format::Interactions,
        Format::Triples,
        Format::Ukb,
        Format::OpenIe,
        Format::NTriples,
        Format::Turtle,
        Format::GraphRag,
    ];

    /// The format's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::EdgeList => "edge-list",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::MatrixMarket => "matrix-market",
            Format::Parquet => "parquet",
            Format::LightGcn => "lightgcn",
            Format::RecBole => "recbole",
            Format::Interactions => "interactions",
            Format::Triples => "triples",
            Format::Ukb => "ukb",
            Format::OpenIe => "openie",
            Format::NTriples => "ntriples",
            Format::Turtle => "turtle",
            Format::GraphRag => "graphrag",
        }
    }

    /// Whether [`Malformed::Skip`](crate::Malformed::Skip) may be asked for.
    #[must_use]
    pub fn may_skip_malformed(self) -> bool {
        matches!(self, Format::OpenIe | Format::NTriples | Format::Triples | Format::Ukb)
    }

    /// What the file's name says, `.gz` and `.zst` at its end left aside. `None`: look into the file.
    ///
    /// `.tsv`, `.txt` and unknown names are for the content to decide.
    pub(crate) fn from_name(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Format::Csv),
            "mtx" => Some(Format::MatrixMarket),
            "parquet" => Some(Format::Parquet),
            "edges" => Some(Format::EdgeList),
            "inter" => Some(Format::RecBole),
            "json" => Some(Format::OpenIe),
            "nt" => Some(Format::NTriples),
            "ttl" => Some(Format::Turtle),
            _ => None,
        }
    }

    /// Whether it is a format of users and items: see [`interactions`](crate::interactions).
    #[must_use]
    pub fn holds_interactions(self) -> bool {
        matches!(self, Format::LightGcn | Format::RecBole | Format::Interactions)
    }

    /// True when a file is a list of lines, which may be cut between threads and processes.
    pub(crate) fn is_lines(self) -> bool {
        matches!(
            self,
            Format::EdgeList | Format::Csv | Format::Tsv | Format::MatrixMarket | Format::Triples | Format::Ukb
        )
    }

    /// True when files of the two formats may be loaded together.
    pub(crate) fn goes_with(self, other: Format) -> bool {
        let delimited = |format| matches!(format, Format::Csv | Format::Tsv);
        self == other || (delimited(self) && delimited(other))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no [`Format`]'s.
#[derive(Debug, thiserror::Error)]
#[error("expected a format ({known}), got {0:?}", known = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_again_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().ok(), Some(format));
            assert_eq!(serde_json::to_string(&format).ok(), Some(format!("\"{format}\"")));
        }
        assert_eq!(
            "xls".parse::<Format>().map_err(|error| error.to_string()),
            Err(format!(r#"expected a format ({}), got "xls""#, Format::ALL.map(Format::name).join(", ")))
        );
    }

    #[test]
    fn a_name_says_its_format_or_leaves_it_to_the_content() {
        let cases = [
            ("a.csv", Some(Format::Csv)),
            ("dir.csv/a.CSV.gz", Some(Format::Csv)),
            ("a.mtx.zst", Some(Format::MatrixMarket)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.edges", Some(Format::EdgeList)),
            ("a.tsv", None),
            ("a.txt.gz", None),
            ("a.inter", Some(Format::RecBole)),
            ("csv", None),
        ];
        for (name, format) in cases {
            assert_eq!(Format::from_name(Path::new(name)), format, "{name}");
        }
    }
}
