//! Where to draw what: nodes in columns, few crossings, short edges.
//!
//! The layered drawing of Sugiyama, Tagawa & Toda (1981), from left to right:
//!
//! 1. *Columns.* Edges that close a circle are put aside: a depth-first search from the seeds, the widest edge first, finds
//!    them. A node stands as many columns from the seeds as the longest way there has edges; nodes from which nothing goes
//!    on stand in the last column.
//! 2. *Bends.* An edge that passes by columns gets a place in each of them.
//! 3. *Order.* Every column is sorted by where its neighbours stand, to the right and back again, and neighbours change places
//!    where that spares crossings; the order of the fewest crossings is kept.
//! 4. *Heights.* Every item wants to stand at the mean height of its neighbours; items of one column keep their order and
//!    distance. The nearest such heights in the sense of least squares come from pooling those that would overlap.

/// What is to be drawn.
pub(super) struct Sketch {
    /// Width and height of each node with all that is written at it.
    pub(super) sizes: Vec<(f64, f64)>,
    /// The nodes that stand in the first column.
    pub(super) first: Vec<bool>,
    /// Source and target of each edge.
    pub(super) edges: Vec<(usize, usize)>,
    /// How much flows along each edge.
    pub(super) flows: Vec<f64>,
    /// How wide the text at each edge is.
    pub(super) texts: Vec<f64>,
}

/// Where it is drawn.
#[derive(Debug)]
pub(super) struct Layout {
    /// The centre of each node.
    pub(super) centres: Vec<(f64, f64)>,
    /// The column of each node.
    pub(super) columns: Vec<usize>,
    /// The left and right border of each column.
    pub(super) borders: Vec<(f64, f64)>,
    /// The points by which each edge passes, from its source to its target.
    pub(super) bends: Vec<Vec<(f64, f64)>>,
    /// The width of all.
    pub(super) width: f64,
    /// The height of all.
    pub(super) height: f64,
}

/// Rounds of sorting, each to the right and back.
const ROUNDS: usize = 12;
/// Passes of exchanging neighbours in each round.
const EXCHANGES: usize = 8;
/// Rounds of moving up and down.
const MOVES: usize = 40;
/// What a passing edge needs, in height.
const BEND_HEIGHT: f64 = 18.0;
/// The least distance of two columns, edge to edge.
const LEAST_GAP: f64 = 84.0;
/// What a text at an edge needs between columns besides its own width.
const AROUND_TEXT: f64 = 10.0;

/// A node or a bend.
struct Item {
    column: usize,
    height: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// Finds places for all. Cost: a few dozen passes over edges and bends, with sorts.
pub(super) fn layout(sketch: &Sketch) -> Layout {
    let columns = columns(sketch);
    let mut items: Vec<Item> = (sketch.sizes.iter().zip(&columns))
        .map(|(&(_, height), &column)| Item { column, height, left: Vec::new(), right: Vec::new() })
        .collect();
    let bends = bend(sketch, &mut items);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); columns.iter().max().map_or(0, |last| last + 1)];
    for (item, Item { column, .. }) in items.iter().enumerate() {
        rows[*column].push(item);
    }
    sort(&mut rows, &items);
    let heights = heights(&rows, &items);
    let borders = borders(sketch, &columns, rows.len());
    let middle = |column: usize| (borders[column].0 + borders[column].1) / 2.0;
    let place = |item: usize| (middle(items[item].column), heights[item]);
    Layout {
        centres: (0..sketch.sizes.len()).map(place).collect(),
        bends: bends.iter().map(|path| path.iter().map(|&item| place(item)).collect()).collect(),
        width: borders.last().map_or(0.0, |last| last.1),
        height: heights.iter().zip(&items).map(|(at, item)| at + item.height / 2.0).fold(0.0, f64::max),
        columns,
        borders,
    }
}

fn columns(sketch: &Sketch) -> Vec<usize> {
    let nodes = sketch.sizes.len();
    let mut onward: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut edges: Vec<usize> = (0..sketch.edges.len()).collect();
    edges.sort_by(|&a, &b| sketch.flows[b].total_cmp(&sketch.flows[a]));
    for (source, target) in edges.into_iter().map(|edge| sketch.edges[edge]) {
        if !sketch.first[target] {
            onward[source].push(target);
        }
    }
    // Nodes in the order in which the search leaves them: every edge that closes no circle leads to one left earlier.
    let (mut left, mut place_left) = (Vec::new(), vec![None; nodes]);
    let mut entered = vec![false; nodes];
    for start in (0..nodes).filter(|&node| sketch.first[node]).chain(0..nodes) {
        if entered[start] {
            continue;
        }
        entered[start] = true;
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.pop() {
            match onward[node].get(next) {
                Some(&target) => {
                    way.push((node, next + 1));
                    if !entered[target] {
                        entered[target] = true;
                        way.push((target, 0));
                    }
                }
                None => {
                    place_left[node] = Some(left.len());
                    left.push(node);
                }
            }
        }
    }
    let mut columns = vec![0; nodes];
    let mut last = vec![true; nodes];
    for &node in left.iter().rev() {
        for &target in onward[node].iter().filter(|&&target| place_left[target] < place_left[node]) {
            columns[target] = columns[target].max(columns[node] + 1);
            last[node] = false;
        }
    }
    let end = columns.iter().max().copied().unwrap_or(0);
    (0..nodes).filter(|&node| last[node] && !sketch.first[node]).for_each(|node| columns[node] = end);
    columns
}

/// Gives edges that pass by columns an item in each, links neighbours, and lists the bends of each edge.
fn bend(sketch: &Sketch, items: &mut Vec<Item>) -> Vec<Vec<usize>> {
    let mut bends = Vec::with_capacity(sketch.edges.len());
    for &(source, target) in &sketch.edges {
        let backward = items[target].column < items[source].column;
        let (from, to) = if backward { (target, source) } else { (source, target) };
        let (mut at, mut path) = (from, Vec::new());
        for column in items[from].column + 1..items[to].column {
            let item = items.len();
            items.push(Item { column, height: BEND_HEIGHT, left: vec![at], right: Vec::new() });
            items[at].right.push(item);
            path.push(item);
            at = item;
        }
        if items[from].column != items[to].column {
            items[at].right.push(to);
            items[to].left.push(at);
        }
        if backward {
            path.reverse();
        }
        bends.push(path);
    }
    bends
}

/// Sorts the columns for few crossings.
fn sort(rows: &mut Vec<Vec<usize>>, items: &[Item]) {
    let mut best = (crossings(rows, items), rows.clone());
    for _ in 0..ROUNDS {
        let rightward = (1..rows.len()).map(|column| (column, true));
        let leftward = (0..rows.len().saturating_sub(1)).rev().map(|column| (column, false));
        for (column, by_left) in rightward.chain(leftward).collect::<Vec<_>>() {
            let places = places(rows, items.len());
            let wish = |item: usize| {
                let around = if by_left { &items[item].left } else { &items[item].right };
                mean(around.iter().map(|&other| places[other])).unwrap_or(places[item])
            };
            rows[column].sort_by(|&a, &b| wish(a).total_cmp(&wish(b)));
        }
        exchange(rows, items);
        let now = crossings(rows, items);
        if now < best.0 {
            best = (now, rows.clone());
        }
    }
    *rows = best.1;
}

/// Exchanges items that stand next to each other while that spares crossings.
fn exchange(rows: &mut [Vec<usize>], items: &[Item]) {
    let mut places = places(rows, items.len());
    for _ in 0..EXCHANGES {
        let mut changed = false;
        for row in &mut *rows {
            for at in 1..row.len() {
                let (above, below) = (row[at - 1], row[at]);
                let crossed = |one: &[usize], other: &[usize]| -> usize {
                    one.iter().map(|&a| other.iter().filter(|&&b| places[b] < places[a]).count()).sum()
                };
                let both = |a: &Item, b: &Item| crossed(&a.left, &b.left) + crossed(&a.right, &b.right);
                if both(&items[below], &items[above]) < both(&items[above], &items[below]) {
                    row.swap(at - 1, at);
                    places.swap(above, below);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
}

/// Where each item stands in its column, from 0 to 1.
fn places(rows: &[Vec<usize>], items: usize) -> Vec<f64> {
    let mut places = vec![0.0; items];
    for row in rows {
        for (place, &item) in row.iter().enumerate() {
            places[item] = (place as f64 + 0.5) / row.len() as f64;
        }
    }
    places
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (0.0 < count).then(|| sum / count)
}

/// How many pairs of edges between neighbouring columns cross: pairs in one order left and in the other right, counted
/// with a Fenwick tree.
fn crossings(rows: &[Vec<usize>], items: &[Item]) -> usize {
    let mut place = vec![0; items.len()];
    rows.iter().for_each(|row| row.iter().enumerate().for_each(|(at, &item)| place[item] = at));
    let mut crossings = 0;
    for (row, next) in rows.iter().zip(rows.iter().skip(1)) {
        let mut tree = vec![0usize; next.len() + 1];
        let mut before = 0;
        for &item in row {
            let ends: Vec<usize> = items[item].right.iter().map(|&other| place[other] + 1).collect();
            for &end in &ends {
                let (mut at, mut above) = (end, 0);
                while 0 < at {
                    above += tree[at];
                    at &= at - 1;
                }
                crossings += before - above;
            }
            for mut at in ends {
                before += 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    crossings
}

fn heights(rows: &[Vec<usize>], items: &[Item]) -> Vec<f64> {
    let mut heights = vec![0.0; items.len()];
    for row in rows {
        let mut at = 0.0;
        for &item in row {
            heights[item] = at + items[item].height / 2.0;
            at += items[item].height;
        }
        row.iter().for_each(|&item| heights[item] -= at / 2.0);
    }
    for round in 0..MOVES {
        for step in 0..rows.len() {
            let row = &rows[if round % 2 == 0 { step } else { rows.len() - 1 - step }];
            let wish = |&item: &usize| {
                let around = items[item].left.iter().chain(&items[item].right);
                mean(around.map(|&other| heights[other])).unwrap_or(heights[item])
            };
            let wishes: Vec<f64> = row.iter().map(wish).collect();
            let sizes: Vec<f64> = row.iter().map(|&item| items[item].height).collect();
            for (&item, height) in row.iter().zip(apart(&wishes, &sizes)) {
                heights[item] = height;
            }
        }
    }
    let top = heights.iter().zip(items).map(|(at, item)| at - item.height / 2.0).fold(f64::INFINITY, f64::min);
    heights.iter().map(|height| height - top).collect()
}

/// The heights nearest to `wishes` at which things of these sizes stand one below the other and do not overlap.
fn apart(wishes: &[f64], sizes: &[f64]) -> Vec<f64> {
    // Less what lies above, heights need only ascend: pool neighbours that do not (isotonic regression).
    let mut above = 0.0;
    let offsets: Vec<f64> = sizes
        .iter()
        .map(|size| {
            above += size;
            above - size / 2.0
        })
        .collect();
    let mut pools: Vec<(f64, usize)> = Vec::new(); // sum of wishes, how many
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut pool = (wish - offset, 1);
        while let Some(&(sum, count)) = pools.last() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pool = (pool.0 + sum, pool.1 + count);
            pools.pop();
        }
        pools.push(pool);
    }
    let levels = pools.iter().flat_map(|&(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    levels.zip(&offsets).map(|(level, offset)| level + offset).collect()
}

/// The left and right border of each column.
fn borders(sketch: &Sketch, columns: &[usize], count: usize) -> Vec<(f64, f64)> {
    let mut widths = vec![0.0f64; count];
    for (&(width, _), &column) in sketch.sizes.iter().zip(columns) {
        widths[column] = widths[column].max(width);
    }
    let mut gaps = vec![LEAST_GAP; count];
    for (&(source, target), text) in sketch.edges.iter().zip(&sketch.texts) {
        let (left, right) = (columns[source].min(columns[target]), columns[source].max(columns[target]));
        for gap in &mut gaps[left..right] {
            *gap = gap.max(text + AROUND_TEXT);
        }
    }
    let mut at = 0.0;
    let mut borders = Vec::with_capacity(count);
    for (width, gap) in widths.iter().zip(&gaps) {
        borders.push((at, at + width));
        at += width + gap;
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(nodes: usize, edges: &[(usize, usize)]) -> Sketch {
        Sketch {
            sizes: vec![(80.0, 40.0); nodes],
            first: (0..nodes).map(|node| node == 0).collect(),
            edges: edges.to_vec(),
            flows: (0..edges.len()).map(|edge| 1.0 / (1.0 + edge as f64)).collect(),
            texts: vec![30.0; edges.len()],
        }
    }

    #[test]
    fn a_drawing_that_needs_no_crossing_has_none_and_nothing_overlaps() {
        // A tree whose leaves are numbered across its branches.
        let mut edges: Vec<(usize, usize)> = (1..5).map(|branch| (0, branch)).collect();
        edges.extend((5..25).map(|leaf| (1 + (leaf * 7) % 4, leaf)));
        let sketch = sketch(25, &edges);
        let layout = layout(&sketch);
        let straight = |a: usize, b: usize| {
            let (from, to) = (layout.centres[edges[a].0].1, layout.centres[edges[a].1].1);
            let (other_from, other_to) = (layout.centres[edges[b].0].1, layout.centres[edges[b].1].1);
            let same = layout.columns[edges[a].0] == layout.columns[edges[b].0]
                && layout.columns[edges[a].1] == layout.columns[edges[b].1];
            !same || (from - other_from) * (to - other_to) >= 0.0
        };
        assert!((0..edges.len()).all(|a| (0..a).all(|b| straight(a, b))));
        for a in 0..25 {
            for b in 0..a {
                let apart = (layout.centres[a].1 - layout.centres[b].1).abs();
                assert!(layout.columns[a] != layout.columns[b] || 40.0 - 1e-9 <= apart, "{a} {b}");
            }
        }
        assert!(layout.centres.iter().all(|&(x, y)| 0.0 <= x && x <= layout.width && 0.0 <= y && y <= layout.height));
    }

    #[test]
    fn columns_count_edges_from_the_seeds_and_long_edges_bend() {
        // 3 -> 1 closes a circle, 3 -> 0 leads back to the seed; 4 leads to itself only, 5 is alone.
        let placed = layout(&sketch(6, &[(0, 1), (1, 2), (2, 3), (3, 1), (0, 3), (3, 0), (4, 4)]));
        assert_eq!(placed.columns, [0, 1, 2, 3, 3, 3]);
        assert_eq!(placed.bends.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 2, 0]);
        assert!(placed.bends[4][0].0 < placed.bends[4][1].0 && placed.bends[5][1].0 < placed.bends[5][0].0);
        assert!(layout(&sketch(0, &[])).centres.is_empty());
    }

    #[test]
    fn crossings_are_counted() {
        let item = |column, right: Vec<usize>| Item { column, height: 1.0, left: Vec::new(), right };
        let items = [item(0, vec![2, 3]), item(0, vec![2, 3]), item(1, vec![]), item(1, vec![])];
        assert_eq!(crossings(&[vec![0, 1], vec![2, 3]], &items), 1);
        let items = [item(0, vec![3]), item(0, vec![2]), item(1, vec![]), item(1, vec![])];
        assert_eq!(crossings(&[vec![0, 1], vec![2, 3]], &items), 1);
        assert_eq!(crossings(&[vec![0, 1], vec![3, 2]], &items), 0);
    }

    #[test]
    fn wishes_are_granted_where_there_is_room() {
        assert_eq!(apart(&[0.0, 100.0], &[10.0, 10.0]), [0.0, 100.0]);
        assert_eq!(apart(&[50.0, 50.0], &[10.0, 10.0]), [45.0, 55.0]);
        let got = apart(&[30.0, 20.0, 10.0, 500.0], &[10.0; 4]);
        assert_eq!(got, [10.0, 20.0, 30.0, 500.0]);
    }
}
