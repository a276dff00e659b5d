//! Users and items: good and bad files of each format, weights, and what is held out.

mod support;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use support::Files;
use walkprint_loaders::interactions::{
    Duplicates, HoldOut, InteractionOptions, Interactions, Preparation, are_interactions, read,
};
use walkprint_loaders::{Format, LoadOptions};

fn read_files(files: &Files, names: &[&str], options: &InteractionOptions) -> Result<Interactions, String> {
    let paths: Vec<_> = names.iter().map(|name| files.path(name)).collect();
    read(&paths, options, &|_| ControlFlow::Continue(())).map_err(|error| files.message(&error))
}

fn read_one(name: &str, content: impl AsRef<[u8]>, options: &InteractionOptions) -> Result<Interactions, String> {
    read_files(&Files::new().with(name, content), &[name], options)
}

fn of(format: Format) -> InteractionOptions {
    InteractionOptions { format: Some(format), ..InteractionOptions::default() }
}

/// Interactions as `user/item=weight@time`.
fn rows(read: &Interactions) -> Vec<String> {
    let name = |row: &walkprint_loaders::interactions::Interaction| {
        let (user, item) = (read.users.get(row.user as usize), read.items.get(row.item as usize));
        format!("{user}/{item}={}@{}", row.weight, row.time)
    };
    read.rows.iter().map(name).collect()
}

#[test]
fn user_5_and_item_5_are_two_nodes() {
    let read = read_one("a.csv", "user_id,item_id\n5,5\n5,6\n", &InteractionOptions::default()).expect("a good file");
    let (edges, report) = read.into_edges();
    let ids: Vec<String> = (0..edges.ids.len()).map(|rank| edges.ids.text(rank)).collect();
    assert_eq!(ids, ["item:5", "item:6", "user:5"]);
    let walked: Vec<_> = edges.sources.iter().zip(&edges.targets).map(|(&a, &b)| (a, b)).collect();
    assert_eq!(walked, [(2, 0), (0, 2), (2, 1), (1, 2)]);
    assert!(edges.weights.is_none(), "all weigh 1");
    let kinds = edges.kinds.nodes.expect("nodes have types");
    assert_eq!([0, 1, 2].map(|node| kinds.name(node)), [Some("item"), Some("item"), Some("user")]);
    assert_eq!((report.nodes, report.edges_read, report.typed_nodes), (3, 2, 3));
}

#[test]
fn each_format_is_read() {
    let text = "\u{feff}0 1 2\r\n\r\n7 2\r\n9\r\n0 3";
    let lightgcn = read_one("a.txt", text, &of(Format::LightGcn)).expect("a good file");
    assert_eq!(rows(&lightgcn), ["0/1=1@0", "0/2=1@0", "7/2=1@0", "0/3=1@0"]);
    assert_eq!((lightgcn.users.len(), lightgcn.users_without_history()), (3, 1));
    let text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\t5\t3.5\t7\nu\tx y\t0\t8\n";
    let recbole = read_one("a.inter", text, &InteractionOptions::default()).expect("a good file");
    assert_eq!((rows(&recbole), recbole.read.format), (vec!["u/5=3.5@7".into(), "u/x y=0@8".into()], Format::RecBole));
    for header in ["user_id,item_id,weight,timestamp", "userId,movieId,rating,timestamp", "User, Item ,RATING,time"] {
        let csv = read_one("a.csv", format!("{header}\r\nu,\"a,b\",2,9\r\n"), &InteractionOptions::default());
        assert_eq!(rows(&csv.expect("a good file")), ["u/a,b=2@9"], "{header}");
    }
    let tsv = read_one("a.tsv", "note\titem\tuser\nx\ti\tu\n", &InteractionOptions::default()).expect("a good file");
    assert_eq!((rows(&tsv), tsv.read.columns.ignored), (vec!["u/i=1@0".to_owned()], vec!["note".to_owned()]));
}

#[test]
fn parquet_files_are_read_and_refused_as_csv_files_are() {
    let files = Files::new();
    let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let file = std::fs::File::options().write(true).create(true).truncate(true).open(files.path(name));
        let mut writer = ArrowWriter::try_new(file.expect("a new file"), batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("a batch");
        writer.close().expect("a footer");
    };
    let users = || -> ArrayRef { Arc::new(Int64Array::from(vec![5, 5])) };
    let items = || -> ArrayRef { Arc::new(StringArray::from(vec!["5", "x"])) };
    let ratings = |last: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![1.0, last])) };
    write("a.parquet", vec![("item_id", items()), ("user_id", users()), ("rating", ratings(2.5))]);
    let read = read_files(&files, &["a.parquet"], &InteractionOptions::default()).expect("a good file");
    assert_eq!(rows(&read), ["5/5=1@0", "5/x=2.5@0"]);
    assert!(are_interactions(&[files.path("a.parquet")], &LoadOptions::default()).expect("a readable file"));
    write("b.parquet", vec![("item_id", items()), ("user_id", users()), ("rating", ratings(-1.0))]);
    let message = read_files(&files, &["b.parquet"], &InteractionOptions::default()).expect_err("a bad rating");
    assert!(message.starts_with("b.parquet: row 2: expected a rating of at least 0 (--min-rating"), "{message}");
    write("c.parquet", vec![("item_id", ratings(1.0)), ("user_id", users())]);
    let message = read_files(&files, &["c.parquet"], &InteractionOptions::default()).expect_err("a bad column");
    assert!(message.contains("integers or strings in the column \"item_id\""), "{message}");
    let null: ArrayRef = Arc::new(StringArray::from(vec![Some("5"), None]));
    write("d.parquet", vec![("item_id", null), ("user_id", users())]);
    let message = read_files(&files, &["d.parquet"], &InteractionOptions::default()).expect_err("a null");
    assert_eq!(message, "d.parquet: row 2: expected the id of an item, got null");
    let bytes = std::fs::read(files.path("a.parquet")).expect("a file");
    for end in 0..bytes.len() {
        let cut = Files::new().with("e.parquet", &bytes[..end]);
        assert!(read_files(&cut, &["e.parquet"], &InteractionOptions::default()).is_err(), "cut at {end}");
    }
}

#[test]
fn bad_files_are_told_with_their_line() {
    let plain = InteractionOptions::default();
    let cases: [(&str, &str, InteractionOptions, &str); 17] = [
        ("a.csv", "", plain.clone(), "a.csv:1: expected interactions, got an empty file"),
        ("a.csv", "user_id,item_id\n", plain.clone(), "a.csv: expected interactions, got a file without any"),
        ("a.csv", "user_id,item_id\n1\n", plain.clone(), "a.csv:2: expected 2 columns, as in the header, got 1: \"1\""),
        (
            "a.csv",
            "user_id,item_id\n1,2,3\n",
            plain.clone(),
            "a.csv:2: expected 2 columns, as in the header, got 3: \"1,2,3\"",
        ),
        ("a.csv", "user_id,item_id\n1,\n", plain.clone(), "a.csv:2: expected the id of an item, got nothing"),
        ("a.csv", "user_id,item_id\n,1\n", plain.clone(), "a.csv:2: expected the id of a user, got nothing"),
        (
            "a.csv",
            "user_id,item_id\n1,a\0b\n",
            plain.clone(),
            "a.csv:2: expected an id without NUL bytes, got \"a\\0b\"",
        ),
        (
            "a.csv",
            "user_id,item_id\n1,\"2\n",
            plain.clone(),
            "a.csv:2: expected a closing quote for the field that begins here, got the end of the file",
        ),
        (
            "a.csv",
            "user_id,item_id,rating\n1,2,x\n",
            plain.clone(),
            "a.csv:2: expected a rating (a finite number), got \"x\"",
        ),
        (
            "a.csv",
            "user_id,item_id,rating\n1,2,NaN\n",
            plain.clone(),
            "a.csv:2: expected a rating (a finite number), got \"NaN\"",
        ),
        (
            "a.csv",
            "user_id,item_id,rating\n1,2,3\n1,3,-1\n",
            plain.clone(),
            "a.csv:3: expected a rating of at least 0 (--min-rating R leaves out and counts what is rated below R), got -1",
        ),
        (
            "a.csv",
            "user_id,item_id,timestamp\n1,2,2014-01-01\n",
            plain.clone(),
            "a.csv:2: expected a time (a number of seconds, say since 1970), got \"2014-01-01\"",
        ),
        (
            "a.csv",
            "user,user_id,item\n1,2,3\n",
            plain.clone(),
            "a.csv:1: expected one column user_id or userid or user or uid (say which: --source-col NAME), got the columns \"user\", \"user_id\", \"item\"",
        ),
        (
            "a.inter",
            "user_id\titem_id\n1\t2\n",
            plain.clone(),
            "a.inter:1: expected a header of names with types, as user_id:token, separated by tabs (types: token, token_seq, float, float_seq), got \"user_id\"",
        ),
        (
            "a.inter",
            "user_id:token\titem_id:float\n1\t2\n",
            plain.clone(),
            "a.inter:1: expected the type token for this column, got \"item_id:float\"",
        ),
        (
            "a.txt",
            "1 2 3\n4,5,6\n",
            of(Format::LightGcn),
            "a.txt:2: expected user item item …, separated by blanks (for commas: --format interactions), got \"4,5,6\"",
        ),
        ("a.txt", "1 2\u{0} 3\n", of(Format::LightGcn), "a.txt:1: expected an id without NUL bytes, got \"2\\0\""),
    ];
    for (name, content, options, expected) in cases {
        assert_eq!(read_one(name, content, &options).expect_err(content), expected);
    }
    let invalid = read_one("a.csv", b"user_id,item_id\n1,\xff\n", &plain).expect_err("no UTF-8");
    assert_eq!(invalid, "a.csv:2: expected an id in UTF-8, got \"\u{fffd}\"");
    let files = Files::new().with("a.csv", "user,item,rating\n1,2,3\n").with("b.csv", "user,item\n1,2\n");
    let mixed = read_files(&files, &["a.csv", "b.csv"], &plain).expect_err("ratings here and none there");
    assert_eq!(mixed, "b.csv:1: expected ratings as in the first file, which has some, got none");
}

#[test]
fn ids_may_be_huge() {
    let long = "9".repeat(1 << 20);
    let read = read_one("a.csv", format!("user_id,item_id\n{long},{long}\n"), &InteractionOptions::default());
    let read = read.expect("a good file");
    assert_eq!((read.users.get(0).len(), read.items.get(0).len()), (1 << 20, 1 << 20));
}

#[test]
fn low_ratings_are_left_out_and_counted() {
    let text = "user_id,item_id,rating\n1,1,-2\n1,2,3.9\n1,3,4\n2,9,1\n";
    let options = InteractionOptions { min_rating: Some(4.0), ..InteractionOptions::default() };
    let read = read_one("a.csv", text, &options).expect("a good file");
    assert_eq!((rows(&read), read.read.below_rating), (vec!["1/3=4@0".to_owned()], 3));
    assert_eq!((read.users.len(), read.users_without_history()), (2, 1));
    let options = InteractionOptions { min_rating: Some(-1.0), ..InteractionOptions::default() };
    assert!(
        read_one("a.csv", text, &options).expect_err("a bad option").starts_with("--min-rating: expected a finite")
    );
}

#[test]
fn what_is_recognised_as_interactions() {
    let files = Files::new()
        .with("a.csv", "\u{feff}userId,movieId,rating\n1,2,3\n")
        .with("b.csv", "source,target\n1,2\n")
        .with("c.inter", "user_id:token\titem_id:token\n1\t2\n")
        .with("d.txt", "0 1 2\n");
    let ask =
        |name: &str, options: &LoadOptions| are_interactions(&[files.path(name)], options).expect("a readable file");
    let plain = LoadOptions::default();
    assert_eq!(["a.csv", "b.csv", "c.inter", "d.txt"].map(|name| ask(name, &plain)), [true, false, true, false]);
    assert!(ask("d.txt", &LoadOptions { format: Some(Format::LightGcn), ..plain.clone() }));
    assert!(!ask("a.csv", &LoadOptions { source_col: Some("userId".into()), ..plain.clone() }), "named as edges");
    let named = LoadOptions { source_col: Some("userId".into()), format: Some(Format::Interactions), ..plain };
    assert!(ask("a.csv", &named));
}

const TIMED: &str = "user_id,item_id,rating,timestamp\nu,a,4,0\nu,b,2,100\nu,a,1,50\nv,a,3,200\n";

fn prepared(preparation: Preparation) -> Vec<String> {
    let mut read = read_one("a.csv", TIMED, &InteractionOptions::default()).expect("a good file");
    read.prepare(&preparation).expect("a good preparation");
    rows(&read)
}

#[test]
fn pairs_that_come_twice_add_up_or_the_newest_counts() {
    assert_eq!(prepared(Preparation::default()), ["u/a=5@50", "u/b=2@100", "v/a=3@200"]);
    let last = Preparation { duplicates: Duplicates::Last, ..Preparation::default() };
    assert_eq!(prepared(last), ["u/a=1@50", "u/b=2@100", "v/a=3@200"]);
    let implicit = Preparation { implicit: true, ..last };
    assert_eq!(prepared(implicit), ["u/a=1@50", "u/b=1@100", "v/a=1@200"]);
    let mut read = read_one("a.csv", TIMED, &InteractionOptions::default()).expect("a good file");
    let refuse = Preparation { duplicates: Duplicates::Refuse, ..Preparation::default() };
    let message = read.prepare(&refuse).expect_err("a pair comes twice").to_string();
    assert!(message.starts_with("user \"u\" has item \"a\" more than once"), "{message}");
}

#[test]
fn weights_halve_with_every_half_life() {
    // Ages from 200: 200, 100, 150, 0; half-life 100: factors 1/4, 1/2, 2^-1.5, 1.
    let decayed = Preparation { half_life: Some(100.0), ..Preparation::default() };
    let two_and_a_bit = 4.0 / 4.0 + (-1.5f64).exp2();
    assert_eq!(prepared(decayed), [format!("u/a={two_and_a_bit}@50"), "u/b=1@100".into(), "v/a=3@200".into()]);
    let earlier = Preparation { as_of: Some(100.0), ..decayed };
    let one_and_a_bit = 4.0 / 2.0 + (-0.5f64).exp2();
    assert_eq!(prepared(earlier), [format!("u/a={one_and_a_bit}@50"), "u/b=2@100".into()]);
    let mut untimed = read_one("a.csv", "user,item\n1,2\n", &InteractionOptions::default()).expect("a good file");
    let message = untimed.prepare(&decayed).expect_err("no times").to_string();
    assert!(message.starts_with("--half-life: expected times in the input"), "{message}");
    let message = untimed.hold_out(HoldOut::Last(1), 0).expect_err("no times").to_string();
    assert!(message.starts_with("--hold-out last: expected times in the input"), "{message}");
}

#[test]
fn the_newest_are_held_out_and_everybody_keeps_one() {
    let text = "user_id,item_id,timestamp\nu,a,5\nu,b,9\nu,c,1\nv,a,3\nw,x,2\nw,y,2\n";
    let mut read = read_one("a.csv", text, &InteractionOptions::default()).expect("a good file");
    let held = read.hold_out(HoldOut::Last(1), 0).expect("something to hold out");
    let held = Interactions { rows: held, ..read.clone() };
    assert_eq!(rows(&held), ["u/b=1@9", "w/y=1@2"]);
    assert_eq!(rows(&read), ["u/a=1@5", "u/c=1@1", "v/a=1@3", "w/x=1@2"]);
    let message = read.hold_out(HoldOut::Last(1), 0).and_then(|_| read.hold_out(HoldOut::Last(1), 0));
    assert!(message.expect_err("nothing is left").to_string().contains("no user with two interactions"));
}

#[test]
fn hold_outs_are_read_as_they_are_shown() {
    for good in ["last=1", "last=30", "random=0.2"] {
        assert_eq!(good.parse::<HoldOut>().expect(good).to_string(), good);
    }
    for bad in ["", "last", "last=0", "last=-1", "random=0", "random=1", "random=NaN", "first=1"] {
        assert!(bad.parse::<HoldOut>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_random_share_depends_on_key_and_ids_alone(
        pairs in proptest::collection::btree_set((0u8..6, 0u8..30), 1..60),
        share in 0.05f64..0.95,
        key in any::<u64>(),
    ) {
        let write = |pairs: &mut dyn Iterator<Item = &(u8, u8)>| {
            let lines: Vec<String> = pairs.map(|(user, item)| format!("{user},{item}\n")).collect();
            format!("user_id,item_id\n{}", lines.concat())
        };
        let split = |text: String| {
            let mut read = read_one("a.csv", text, &InteractionOptions::default()).expect("a good file");
            let held = read.hold_out(HoldOut::Random(share), key);
            let held = held.map(|rows| Interactions { rows, ..read.clone() });
            let names = |read: &Interactions| rows(read).into_iter().collect::<BTreeSet<_>>();
            (names(&read), held.map(|held| names(&held)).unwrap_or_default())
        };
        let (kept, held) = split(write(&mut pairs.iter()));
        prop_assert_eq!((&kept, &held), (&split(write(&mut pairs.iter().rev())).0, &split(write(&mut pairs.iter().rev())).1));
        prop_assert!(kept.is_disjoint(&held));
        prop_assert_eq!(kept.len() + held.len(), pairs.len());
        for user in pairs.iter().map(|pair| pair.0).collect::<BTreeSet<_>>() {
            let of = |set: &BTreeSet<String>| set.iter().filter(|row| row.starts_with(&format!("{user}/"))).count();
            let all = of(&kept) + of(&held);
            // The share of them, rounded, but one stays.
            let exact = all as f64 * share;
            let held_of_user = of(&held);
            prop_assert!((held_of_user as f64 - exact).abs() <= 0.5 || held_of_user == all - 1, "{held_of_user} of {all}");
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), which in 0usize..3) {
        let format = [Format::LightGcn, Format::RecBole, Format::Interactions][which];
        let header: &[u8] = [b"" as &[u8], b"user_id:token\titem_id:token\n", b"user_id,item_id\n"][which];
        let _ = read_one("a.txt", [header, &bytes].concat(), &of(format));
    }
}
