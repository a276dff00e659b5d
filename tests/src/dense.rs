//! Personalized PageRank from its definition: the walk's transition matrix with each dangling policy written into it,
//! and one linear system, solved by Gaussian elimination with partial pivoting.
//!
//! **Shares no code and no formula with the engine**, which derives all policies from one linear core.
//!
//! Error: column *u* of `I - (1 - a) P'^T` has 1-norm at most 2, and the inverse at most `1 / a`; elimination on so few
//! nodes with `a` of at least 0.02 keeps the solution's error near 1e-14.

use walkprint_engine::query::Dangling;

/// The scores of all nodes for seeds that sum to 1, under a dangling policy. Rows of `transitions` sum to 1, those of
/// dangling nodes to 0. Cost: cubic in the nodes.
#[must_use]
pub fn scores(transitions: &[Vec<f64>], seeds: &[f64], restart_prob: f64, dangling: Dangling) -> Vec<f64> {
    let nodes = seeds.len();
    let mut matrix = vec![vec![0.0; nodes]; nodes];
    for (source, row) in transitions.iter().enumerate() {
        let instead: Vec<f64>;
        let row = if row.iter().any(|&share| share != 0.0) {
            row
        } else {
            instead = match dangling {
                Dangling::Restart => seeds.to_vec(),
                Dangling::Drop => vec![0.0; nodes],
                Dangling::SelfLoop => (0..nodes).map(|node| if node == source { 1.0 } else { 0.0 }).collect(),
                Dangling::Uniform => vec![1.0 / nodes as f64; nodes],
            };
            &instead
        };
        for (target, share) in row.iter().enumerate() {
            matrix[target][source] = -(1.0 - restart_prob) * share;
        }
    }
    for (node, row) in matrix.iter_mut().enumerate() {
        row[node] += 1.0;
    }
    solve(matrix, seeds.iter().map(|share| restart_prob * share).collect())
}

/// The scores for a single seed when walks end at dangling nodes: what a fingerprint of that source estimates.
#[must_use]
pub fn core(transitions: &[Vec<f64>], source: usize, restart_prob: f64) -> Vec<f64> {
    let mut seeds = vec![0.0; transitions.len()];
    seeds[source] = 1.0;
    scores(transitions, &seeds, restart_prob, Dangling::Drop)
}

/// Solves `matrix * x = right` by Gaussian elimination with partial pivoting.
///
/// # Panics
/// When the matrix is singular.
#[must_use]
pub fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))
            .expect("there is a row left");
        assert!(matrix[pivot][column] != 0.0, "the matrix is singular");
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (above, below) = matrix.split_at_mut(column + 1);
        let leading = &above[column];
        for (offset, row) in below.iter_mut().enumerate() {
            let factor = row[column] / leading[column];
            if factor != 0.0 {
                for (value, lead) in row.iter_mut().zip(leading).skip(column) {
                    *value -= factor * lead;
                }
                right[column + 1 + offset] -= factor * right[column];
            }
        }
    }
    let mut solution = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| matrix[row][column] * solution[column]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_needs_pivoting_is_solved() {
        // The solution was chosen, the right side follows from it.
        let matrix = vec![vec![0.0, 2.0, 1.0], vec![1.0, 0.0, 3.0], vec![4.0, 1.0, 0.0]];
        let chosen = [3.0, -1.0, 2.0];
        let right = matrix.iter().map(|row| row.iter().zip(chosen).map(|(a, x)| a * x).sum()).collect();
        for (got, expected) in solve(matrix, right).into_iter().zip(chosen) {
            assert!((got - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn two_nodes_by_hand() {
        // 0 -> 1, and 1 is dangling; all seeds on 0; a = restart probability.
        let (transitions, a) = (vec![vec![0.0, 1.0], vec![0.0, 0.0]], 0.25);
        let expected = [
            (Dangling::Drop, [a, a * (1.0 - a)]),
            (Dangling::SelfLoop, [a, 1.0 - a]),
            (Dangling::Restart, [1.0 / (2.0 - a), (1.0 - a) / (2.0 - a)]),
        ];
        for (dangling, expected) in expected {
            let got = scores(&transitions, &[1.0, 0.0], a, dangling);
            assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-15), "{dangling}");
        }
        // Uniform: x0 = a + (1 - a) x1 / 2, and everything sums to 1.
        let got = scores(&transitions, &[1.0, 0.0], a, Dangling::Uniform);
        assert!((got[0] - (a + (1.0 - a) * got[1] / 2.0)).abs() < 1e-15 && (got[0] + got[1] - 1.0).abs() < 1e-15);
    }
}
