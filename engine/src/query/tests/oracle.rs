//! Personalized PageRank by its definition: a dense transition matrix and Gaussian elimination. Shares no code with the
//! engine, not even the graph.

use crate::query::Dangling;

/// Scores of all nodes under a policy, by replacing the rows of dangling nodes as the policy says.
pub(super) fn scores(
    nodes: usize,
    edges: &[(u32, u32, f64)],
    seeds: &[f64],
    restart_prob: f64,
    policy: Dangling,
) -> Vec<f64> {
    let total: f64 = seeds.iter().sum();
    let seeds: Vec<f64> = seeds.iter().map(|weight| weight / total).collect();
    let mut rows = vec![vec![0.0; nodes]; nodes];
    for &(source, target, weight) in edges {
        rows[source as usize][target as usize] += weight;
    }
    for (node, row) in rows.iter_mut().enumerate() {
        let total: f64 = row.iter().sum();
        if 0.0 < total {
            row.iter_mut().for_each(|weight| *weight /= total);
            continue;
        }
        match policy {
            Dangling::Drop => {}
            Dangling::Restart => row.copy_from_slice(&seeds),
            Dangling::SelfLoop => row[node] = 1.0,
            Dangling::Uniform => row.fill(1.0 / nodes as f64),
        }
    }
    // q (I - (1 - a) P) = a s, transposed.
    let mut system: Vec<Vec<f64>> = (0..nodes)
        .map(|to| {
            let column = (0..nodes).map(|from| f64::from(u8::from(from == to)) - (1.0 - restart_prob) * rows[from][to]);
            column.chain([restart_prob * seeds[to]]).collect()
        })
        .collect();
    eliminate(&mut system)
}

/// Solves the system whose last column is the right side, with partial pivoting.
fn eliminate(system: &mut [Vec<f64>]) -> Vec<f64> {
    let size = system.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|&a, &b| system[a][at].abs().total_cmp(&system[b][at].abs())).unwrap();
        system.swap(at, pivot);
        let (above, below) = system.split_at_mut(at + 1);
        let pivot = &above[at];
        for row in below {
            let factor = row[at] / pivot[at];
            if factor != 0.0 {
                row.iter_mut().zip(pivot).skip(at).for_each(|(value, above)| *value -= factor * above);
            }
        }
    }
    let mut solution = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|column| system[at][column] * solution[column]).sum();
        solution[at] = (system[at][size] - known) / system[at][at];
    }
    solution
}

/// The sum of absolute differences.
pub(super) fn l1(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).sum()
}
