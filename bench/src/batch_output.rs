//! Reads what a batch wrote: the results of some of its sources.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The results of each of some sources, best first: ids as text.
///
/// # Errors
/// When a file cannot be read, lacks a column, or has the ranks of a wanted source in disorder.
pub(crate) fn results(directory: &Path, wanted: &[String]) -> Result<Vec<Vec<String>>> {
    let places: HashMap<&str, usize> = wanted.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut found = vec![Vec::new(); wanted.len()];
    for path in parquet_files(directory)? {
        let what = || format!("{}: could not read", path.display());
        let file = std::fs::OpenOptions::new().read(true).open(&path).with_context(what)?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).with_context(what)?.build().with_context(what)? {
            add(&batch.with_context(what)?, &places, &mut found).with_context(what)?;
        }
    }
    Ok(found)
}

/// The parts, by name, which is in the order of sources.
pub(crate) fn parquet_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("{}: could not list", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{}: the batch wrote no Parquet file", directory.display());
    }
    Ok(files)
}

fn add(batch: &RecordBatch, places: &HashMap<&str, usize>, found: &mut [Vec<String>]) -> Result<()> {
    let column = |name: &str| batch.column_by_name(name).with_context(|| format!("there is no column {name}"));
    let (sources, targets) = (texts(column("source")?)?, texts(column("target")?)?);
    let ranks = column("rank")?.as_primitive_opt::<UInt32Type>().context("rank is no column of 32-bit integers")?;
    for row in 0..batch.num_rows() {
        let source = sources(row);
        let Some(&place) = places.get(source.as_str()) else { continue };
        found[place].push(targets(row));
        if ranks.value(row) as usize != found[place].len() {
            bail!("result {} of source {source} has rank {}", found[place].len(), ranks.value(row));
        }
    }
    Ok(())
}

/// The ids of a column as text, by row.
fn texts(column: &ArrayRef) -> Result<Box<dyn Fn(usize) -> String + '_>> {
    if let Some(integers) = column.as_primitive_opt::<Int64Type>() {
        return Ok(Box::new(|row| integers.value(row).to_string()));
    }
    match column.as_string_opt::<i32>() {
        Some(strings) => Ok(Box::new(|row| strings.value(row).to_owned())),
        None => bail!("ids are neither integers nor strings but {}", column.data_type()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray, UInt32Array};

    use super::*;

    fn batch(sources: ArrayRef, targets: ArrayRef, ranks: Vec<u32>) -> RecordBatch {
        let ranks: ArrayRef = Arc::new(UInt32Array::from(ranks));
        RecordBatch::try_from_iter([("source", sources), ("target", targets), ("rank", ranks)]).unwrap()
    }

    #[test]
    fn results_come_in_their_order_and_only_those_wanted() {
        let places = HashMap::from([("7", 0), ("9", 1)]);
        let mut found = vec![Vec::new(); 2];
        let integers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        add(&batch(integers(vec![7, 7, 8, 9]), integers(vec![1, 2, 3, 4]), vec![1, 2, 1, 1]), &places, &mut found)
            .unwrap();
        // A source may go on in the next row group.
        add(&batch(integers(vec![9]), integers(vec![5]), vec![2]), &places, &mut found).unwrap();
        assert_eq!(found, [["1", "2"], ["4", "5"]]);
        let error = add(&batch(integers(vec![9]), integers(vec![5]), vec![2]), &places, &mut found);
        assert!(error.unwrap_err().to_string().contains("rank 2"), "a rank that came before");
        let strings = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let mut found = vec![Vec::new(); 2];
        add(&batch(strings(vec!["9"]), strings(vec!["x"]), vec![1]), &places, &mut found).unwrap();
        assert_eq!(found[1], ["x"]);
    }
}
