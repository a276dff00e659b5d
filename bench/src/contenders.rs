//! Who answers in the suite `peers`, by which method, and how far each is told to go.
//!
//! In the **exact** table everybody must keep an L1 error of 1e-8, in the **approximate** one of 1e-2 (igraph has no such
//! setting). The same methods at other settings make the curves of error against time.
//!
//! Settings differ because stopping rules do: a residual bounds the error of the linear core, which is divided by its sum;
//! a change between iterates must be multiplied by `(1 - a) / a` (the worker does); an eigensolver's tolerance is its own.

use std::fmt;

use clap::ValueEnum;

use crate::protocol::Setting;

/// The L1 error that the exact table asks for.
pub(crate) const EXACT: f64 = 1e-8;
/// The L1 error that the approximate table asks of methods that can be told.
pub(crate) const APPROXIMATE: f64 = 1e-2;
/// Eigenvectors come out at one to thirteen times scikit-network's tolerance (soc-Epinions1, 1e-6 to 1e-11).
const LANCZOS: f64 = 1.0 / 30.0;
/// An estimate that is further from the truth is not worth its time.
const LARGEST_ESTIMATE_ERROR: f64 = 0.1;
/// L1 errors that `combine` is told to aim at, for its curve.
const COMBINE_POINTS: [f64; 4] = [0.1, 0.03, 3e-3, 1e-3];
/// Columns of a matrix that scipy multiplies at once.
const LANES: usize = 32;

/// A system in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum System {
    #[value(skip)]
    Walkprint,
    Igraph,
    Scipy,
    ScikitNetwork,
    Networkx,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Table {
    /// Answers that are as good as the truth.
    Exact,
    /// Answers that are good enough to rank by, from an index where there is one.
    Approximate,
}

/// One method of one system at one setting.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) system: System,
    pub(crate) table: Table,
    /// The method: contenders of one method and table are points of one curve.
    pub(crate) method: &'static str,
    /// The curve's colour.
    pub(crate) colour: usize,
    pub(crate) setting: Setting,
    /// The setting that stands in the table; others are points on curves only.
    pub(crate) main: bool,
    /// The largest L1 error it may show, an estimate on average: with a larger one its time does not count. Points of
    /// curves may show any, it is what the curve is about.
    pub(crate) bound: f64,
}

impl System {
    /// The name the worker knows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Walkprint => "walkprint",
            System::Igraph => "igraph",
            System::Scipy => "scipy",
            System::ScikitNetwork => "scikit-network",
            System::Networkx => "networkx",
        }
    }

    /// Whether an answer takes so long that few questions must do.
    pub(crate) fn is_slow(self) -> bool {
        self == System::Networkx
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Table::Exact => "exact",
            Table::Approximate => "approximate",
        })
    }
}

impl Contender {
    /// Walkprint as exact as it gets: what the truth is compared with.
    pub(crate) fn most_exact(table: Table) -> Contender {
        let setting = Setting { method: "exact".to_owned(), tolerance: 1e-13, lanes: 1, precision: None, top: 1 };
        let (system, method) = (System::Walkprint, "walkprint exact");
        Contender { system, table, method, colour: 0, setting, main: true, bound: f64::INFINITY }
    }

    /// Whether its answers differ from the truth by chance.
    pub(crate) fn is_estimate(&self) -> bool {
        self.setting.method == "combine"
    }

    /// What figures about it are filed under.
    pub(crate) fn case(&self) -> String {
        let mut case = format!("{}: {}", self.table, self.method);
        if !self.main {
            case += &format!(" at {:.1e}", self.setting.precision.unwrap_or(self.setting.tolerance));
        }
        case
    }
}

/// Everybody of a table who belongs to one of the systems, Walkprint first.
///
/// `dangling`: whether the graph has dangling nodes, which makes the sum of the linear core, by which it is divided, as
/// small as the restart probability. `precision`: the L1 error that `combine` is told in the table.
pub(crate) fn contenders(
    table: Table,
    systems: &[System],
    restart_prob: f64,
    dangling: bool,
    precision: f64,
    top: usize,
) -> Vec<Contender> {
    // What a core lacks counts twice: where it is missing, and in the sum that everything is divided by.
    let residual = if dangling { restart_prob / 2.0 } else { 0.5 };
    let wanted = match table {
        Table::Exact => EXACT,
        Table::Approximate => APPROXIMATE,
    };
    let curve: &[f64] = match table {
        Table::Exact => &[1e-2, 1e-4, 1e-6, 1e-10],
        Table::Approximate => &[1e-1, 1e-3, 1e-4, 1e-6],
    };
    let mut all = Vec::new();
    let mut add = |system: System, method: &'static str, colour: usize, name: &str, factor: f64, lanes: usize| {
        let setting = |tolerance: f64| Setting {
            method: name.to_owned(),
            tolerance: tolerance * factor,
            lanes,
            precision: None,
            top,
        };
        let contender = |tolerance: f64, main: bool| {
            let bound = if main { wanted } else { f64::INFINITY };
            Contender { system, table, method, colour, setting: setting(tolerance), main, bound }
        };
        all.push(contender(wanted, true));
        if factor != 0.0 {
            all.extend(curve.iter().map(|&tolerance| contender(tolerance, false)));
        }
    };
    add(System::Walkprint, "walkprint exact", 0, "exact", residual, 1);
    add(System::Igraph, "igraph PRPACK", 1, "prpack", 0.0, 1);
    add(System::Scipy, "scipy power iteration", 2, "power", residual, 1);
    add(System::Scipy, "scipy, 32 at a time", 4, "power", residual, LANES);
    if table == Table::Exact {
        add(System::ScikitNetwork, "scikit-network lanczos", 3, "lanczos", LANCZOS, 1);
        add(System::Networkx, "networkx", 6, "power", 1.0, 1);
    }
    add(System::ScikitNetwork, "scikit-network piteration", 7, "piteration", 1.0, 1);
    if table == Table::Approximate {
        all.iter_mut().filter(|one| one.system == System::Walkprint).for_each(|one| one.colour = 5);
        let combine = |precision: f64, main: bool| Contender {
            system: System::Walkprint,
            table,
            method: "walkprint combine",
            colour: 0,
            setting: Setting {
                method: "combine".to_owned(),
                tolerance: 0.0,
                lanes: 1,
                precision: Some(precision),
                top,
            },
            main,
            bound: if main { LARGEST_ESTIMATE_ERROR } else { f64::INFINITY },
        };
        let points = COMBINE_POINTS.map(|precision| combine(precision, false));
        all.splice(0..0, std::iter::once(combine(precision, true)).chain(points));
    }
    // A curve of a slow system would take longer than everything else together.
    all.retain(|one| systems.contains(&one.system) && (one.main || !one.system.is_slow()));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_contender_has_a_case_of_its_own_and_walkprint_leads() {
        let systems = [System::Walkprint, System::Igraph, System::Scipy, System::ScikitNetwork, System::Networkx];
        for table in [Table::Exact, Table::Approximate] {
            let all = contenders(table, &systems, 0.15, true, 0.01, 100);
            let cases: BTreeSet<String> = all.iter().map(Contender::case).collect();
            assert_eq!(cases.len(), all.len());
            assert!(all[0].system == System::Walkprint && all[0].main);
            for method in all.iter().map(|one| one.method) {
                assert_eq!(all.iter().filter(|one| one.method == method && one.main).count(), 1, "{method}");
            }
            let few = contenders(table, &[System::Walkprint], 0.15, true, 0.01, 100);
            assert!(few.len() < all.len() && few.iter().all(|one| one.system == System::Walkprint));
        }
    }

    #[test]
    fn dangling_nodes_ask_for_smaller_residuals() {
        let residual =
            |dangling| contenders(Table::Exact, &[System::Walkprint], 0.15, dangling, 0.01, 1)[0].setting.tolerance;
        assert!((residual(false) - 5e-9).abs() < 1e-15 && (residual(true) - 7.5e-10).abs() < 1e-15);
    }
}
