//! Short walks against dense matrices that follow the papers' definitions and share no code with the engine.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use roaring::RoaringBitmap;

use super::world::{Random, World};
use crate::error::Error;
use crate::graph::NodeOrder;
use crate::query::two_sided::{Best, Lists, ShortWalker, ShortWalks, Sides};

const USERS: usize = 23;
const ITEMS: usize = 31;
/// The same as places.
const USER_PLACES: u32 = 23;
const ITEM_PLACES: u32 = 31;

/// What users did, as a dense matrix: some users and items have nothing.
fn interactions(weighted: bool, random: &mut Random) -> Vec<Vec<f64>> {
    let mut matrix = vec![vec![0.0; ITEMS]; USERS];
    for _ in 0..140 {
        let (user, item) = (random.below(USER_PLACES - 2) as usize, random.below(ITEM_PLACES - 3) as usize);
        matrix[user][item] = if weighted { 0.1 + 5.0 * random.share() } else { 1.0 };
    }
    matrix
}

/// Users are nodes from 0, items follow; the order of nodes is not that of ids.
fn sides(matrix: &[Vec<f64>]) -> Sides {
    let mut edges = Vec::new();
    for (user, row) in (0u32..).zip(matrix) {
        for (item, &weight) in (USER_PLACES..).zip(row) {
            if weight != 0.0 {
                edges.extend([(user, item, weight), (item, user, weight)]);
            }
        }
    }
    let world = World::ordered(USER_PLACES + ITEM_PLACES, &edges, NodeOrder::BreadthFirst);
    let node = |id: usize| world.labels.node(&id.to_string()).unwrap().unwrap();
    let users: RoaringBitmap = (0..USERS).map(node).collect();
    let items: RoaringBitmap = (USERS..USERS + ITEMS).map(node).collect();
    let sides = Sides::new(&world.graph, &world.labels, &users, &items).unwrap();
    for (place, user) in (0u32..).zip(0..USERS) {
        assert_eq!(sides.left_place(node(user)), Some(place), "places follow ids");
        assert_eq!(sides.right_place(node(user)), None);
    }
    sides
}

fn transposed(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

/// Each row's numbers divided by their sum, to a power.
fn probabilities(matrix: &[Vec<f64>], power: f64) -> Vec<Vec<f64>> {
    let of_row = |row: &Vec<f64>| -> Vec<f64> {
        let sum: f64 = row.iter().sum();
        row.iter().map(|&value| if value == 0.0 { 0.0 } else { (value / sum).powf(power) }).collect()
    };
    matrix.iter().map(of_row).collect()
}

fn product(left: &[Vec<f64>], right: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_row = |row: &Vec<f64>| {
        (0..right[0].len())
            .map(|column| row.iter().zip(right).map(|(value, other)| value * other[column]).sum())
            .collect()
    };
    left.iter().map(of_row).collect()
}

fn assert_near(got: &[f64], expected: &[f64], what: &str) {
    for (item, (got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (got - expected).abs();
        assert!(off <= 1e-9 * expected.abs().max(1e-3), "{what}, item {item}: {got} instead of {expected}");
    }
}

#[test]
fn p3alpha_and_rp3beta_are_those_of_the_papers() {
    let mut random = Random(5);
    for weighted in [false, true] {
        for (alpha, beta) in [(1.0, 0.0), (0.6, 0.0), (1.8, 0.0), (1.0, 0.4), (0.7, 1.0)] {
            let matrix = interactions(weighted, &mut random);
            let sides = sides(&matrix);
            let (onward, back) = (probabilities(&matrix, alpha), probabilities(&transposed(&matrix), alpha));
            let paths = product(&product(&onward, &back), &onward);
            let popularity: Vec<f64> = transposed(&matrix).iter().map(|row| row.iter().sum()).collect();
            let walks = ShortWalks { transition_power: alpha, popularity_power: beta, ..ShortWalks::default() };
            let mut walker = ShortWalker::new(&sides, &walks).unwrap();
            for (user, row) in (0u32..).zip(&paths) {
                let divided = row.iter().zip(&popularity);
                let expected: Vec<f64> = divided
                    .map(|(&score, &popularity)| if score == 0.0 { 0.0 } else { score / popularity.powf(beta) })
                    .collect();
                let got = walker.scores(&sides.seeds(user)).unwrap();
                assert_near(got, &expected, &format!("alpha {alpha}, beta {beta}, user {user}"));
            }
        }
    }
}

/// The settings of the module's formula, by matrices.
fn by_matrices(matrix: &[Vec<f64>], walks: &ShortWalks, seeds: &[f64]) -> Vec<f64> {
    let across = transposed(matrix);
    let power = walks.transition_power;
    let degree = |row: &Vec<f64>| row.iter().sum::<f64>();
    let total: f64 = seeds.iter().sum();
    let mut on_items: Vec<f64> =
        seeds.iter().map(|&seed| if seed == 0.0 { 0.0 } else { (seed / total).powf(power) }).collect();
    let mut scores = vec![0.0; ITEMS];
    for length in (3..=walks.lengths.last().unwrap().0).step_by(2) {
        let mut on_users = [0.0; USERS];
        for (item, row) in across.iter().enumerate() {
            for (user, &weight) in row.iter().enumerate().filter(|edge| *edge.1 != 0.0) {
                on_users[user] += on_items[item] * weight.powf(power) / degree(row).powf(walks.right());
            }
        }
        on_items = vec![0.0; ITEMS];
        for (user, row) in matrix.iter().enumerate() {
            for (item, &weight) in row.iter().enumerate().filter(|edge| *edge.1 != 0.0) {
                let passed = on_users[user] * weight.powf(power) / degree(row).powf(walks.left());
                on_items[item] += passed / degree(&across[item]).powf(walks.popularity_power);
            }
        }
        let share: f64 = walks.lengths.iter().filter(|counted| counted.0 == length).map(|counted| counted.1).sum();
        scores.iter_mut().zip(&on_items).for_each(|(score, mass)| *score += share * mass);
    }
    scores
}

fn many_settings() -> Vec<ShortWalks> {
    let walks = |lengths: &[(u32, f64)], powers: [f64; 4], boost: f64| ShortWalks {
        lengths: lengths.to_vec(),
        transition_power: powers[0],
        left_power: Some(powers[1]),
        right_power: Some(powers[2]),
        popularity_power: powers[3],
        boost,
    };
    vec![
        walks(&[(3, 1.0)], [1.0, 0.7, 0.8, 0.3], 1.0),
        walks(&[(3, 1.0), (5, -0.3)], [1.0, 1.0, 1.0, 0.0], 1.0),
        walks(&[(3, 0.5), (7, 0.25)], [0.8, 0.9, 1.1, 0.2], 1.0),
        walks(&[(5, 2.0)], [1.0, 0.5, 0.5, -0.5], 1.0),
        walks(&[(3, 1.0)], [1.0, 1.0, 1.0, 0.0], 2.0),
        walks(&[(3, 1.0), (5, 0.1)], [0.9, 1.0, 1.0, 0.1], 0.8),
    ]
}

#[test]
fn any_settings_follow_the_formula() {
    let mut random = Random(6);
    for (at, walks) in many_settings().into_iter().enumerate() {
        let matrix = interactions(at % 2 == 1, &mut random);
        let sides = sides(&matrix);
        let mut walker = ShortWalker::new(&sides, &walks).unwrap();
        for user in 0..USERS {
            let place = u32::try_from(user).unwrap();
            let expected = if walks.boost == 1.0 {
                by_matrices(&matrix, &walks, &matrix[user])
            } else {
                // Each seed alone, but with its share of the first step.
                let total: f64 = matrix[user].iter().sum();
                let mut sums = vec![0.0; ITEMS];
                for item in (0..ITEMS).filter(|&item| matrix[user][item] != 0.0) {
                    let mut alone = vec![0.0; ITEMS];
                    alone[item] = 1.0;
                    let first = (matrix[user][item] / total).powf(walks.transition_power);
                    let scores = by_matrices(&matrix, &walks, &alone);
                    sums.iter_mut()
                        .zip(scores)
                        .for_each(|(sum, score)| *sum += (first * score).powf(1.0 / walks.boost));
                }
                sums.into_iter().map(|sum| sum.powf(walks.boost)).collect()
            };
            let got = walker.scores(&sides.seeds(place)).unwrap().to_vec();
            assert_near(&got, &expected, &format!("settings {at}, user {user}"));
            // Not in the graph, but with the same items: the same bits. So has a walker that did nothing before.
            assert_eq!(walker.another().scores(&sides.seeds(place)).unwrap(), got);
        }
    }
}

#[test]
fn the_best_are_those_of_all_scores_and_equal_ones_go_by_id() {
    let mut random = Random(7);
    let matrix = interactions(false, &mut random);
    let sides = sides(&matrix);
    for walks in many_settings() {
        let mut walker = ShortWalker::new(&sides, &walks).unwrap();
        for user in 0..USER_PLACES {
            let (seeds, seen) = (sides.seeds(user), sides.row(user));
            let scores = walker.scores(&seeds).unwrap().to_vec();
            let mut all: Vec<Best> = (0..).zip(scores).map(|(place, score)| Best { place, score }).collect();
            all.retain(|best| best.score != 0.0 && !seen.contains(&best.place));
            all.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.place.cmp(&b.place)));
            for top in [0, 1, 5, ITEMS, usize::MAX] {
                let expected = &all[..top.min(all.len())];
                assert_eq!(walker.best(&seeds, seen, top).unwrap(), expected);
            }
        }
    }
}

#[test]
fn full_lists_add_up_to_the_scores_and_short_ones_begin_alike() {
    let mut random = Random(8);
    for (at, walks) in many_settings().into_iter().enumerate() {
        let matrix = interactions(at % 2 == 0, &mut random);
        let sides = sides(&matrix);
        let mut walker = ShortWalker::new(&sides, &walks).unwrap();
        let mut lists = |keep: usize| {
            let mut halves = [Lists::new(&walks, keep).unwrap(), Lists::new(&walks, keep).unwrap()];
            (0..ITEM_PLACES).for_each(|place| halves[usize::from(10 < place)].push(&mut walker, place).unwrap());
            let [mut first, second] = halves;
            first.append(&second);
            first
        };
        let (full, short) = (lists(ITEMS), lists(3));
        for place in 0..ITEM_PLACES {
            let begin: Vec<Best> = full.list(place).take(3).collect();
            assert_eq!(short.list(place).collect::<Vec<_>>(), begin);
        }
        let mut room = Vec::new();
        for user in 0..USER_PLACES {
            let (seeds, seen) = (sides.seeds(user), sides.row(user));
            let expected = walker.best(&seeds, seen, ITEMS).unwrap();
            let got = full.best(&sides, &seeds, seen, ITEMS, &mut room).unwrap();
            let by_place = |mut best: Vec<Best>| {
                best.sort_by_key(|best| best.place);
                best
            };
            // Items that are seen are in no list of themselves: only they could be missing, and they are left out.
            let (got, expected) = (by_place(got), by_place(expected));
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got.place, expected.place);
                assert!((got.score - expected.score).abs() <= 1e-9 * expected.score.abs().max(1e-3));
            }
        }
    }
}

#[test]
fn without_some_edges_it_is_the_graph_that_never_had_them() {
    let mut random = Random(9);
    let mut matrix = interactions(true, &mut random);
    let all = sides(&matrix);
    let filtered = all.filtered(|user, item| !(user + item).is_multiple_of(3));
    for (user, row) in matrix.iter_mut().enumerate() {
        row.iter_mut().enumerate().filter(|(item, _)| (user + item) % 3 == 0).for_each(|(_, weight)| *weight = 0.0);
    }
    let made = sides(&matrix);
    assert_eq!(filtered.edges(), made.edges());
    for user in 0..USER_PLACES {
        assert_eq!(filtered.seeds(user), made.seeds(user));
    }
    for item in 0..ITEM_PLACES {
        assert_eq!(filtered.popularity(item), made.popularity(item));
    }
}

#[test]
fn what_cannot_be_walked_is_refused_and_a_flag_ends_it() {
    let mut random = Random(10);
    let sides = sides(&interactions(false, &mut random));
    let with = |change: fn(&mut ShortWalks)| {
        let mut walks = ShortWalks::default();
        change(&mut walks);
        ShortWalker::new(&sides, &walks).map(|_| ())
    };
    let changes: [fn(&mut ShortWalks); 10] = [
        |walks| walks.lengths = vec![],
        |walks| walks.lengths = vec![(4, 1.0)],
        |walks| walks.lengths = vec![(1, 1.0)],
        |walks| walks.lengths = vec![(5, 1.0), (3, 1.0)],
        |walks| walks.lengths = vec![(3, 1.0), (5, f64::NAN)],
        |walks| walks.lengths = vec![(3, -1.0)],
        |walks| walks.transition_power = f64::INFINITY,
        |walks| walks.left_power = Some(11.0),
        |walks| walks.popularity_power = -11.0,
        |walks| walks.boost = 0.0,
    ];
    for change in changes {
        assert!(matches!(with(change), Err(Error::Parameter { .. })));
    }
    let mut walker = ShortWalker::new(&sides, &ShortWalks::default()).unwrap();
    for bad in [(ITEM_PLACES, 1.0), (0, 0.0), (0, -1.0), (0, f64::NAN), (0, f64::INFINITY)] {
        assert!(matches!(walker.scores(&[bad]), Err(Error::Seeds { .. })), "{bad:?}");
    }
    assert!(walker.scores(&[]).unwrap().iter().all(|&score| score == 0.0), "no seeds, no scores");
    let expected = walker.scores(&sides.seeds(0)).unwrap().to_vec();
    walker.heed(Some(Arc::new(AtomicBool::new(true))));
    assert!(matches!(walker.scores(&sides.seeds(0)), Err(Error::Interrupted)));
    walker.heed(None);
    assert_eq!(walker.scores(&sides.seeds(0)).unwrap(), expected, "nothing is left of what was given up");
}
