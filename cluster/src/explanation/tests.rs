//! What no id may do: break out of its quotes, vanish, or make a picture that is none.

use walkprint_engine::query::{Contribution, Explained, Explanation, Hop, Others, Path, PathStatus, Searched};

use super::{Picture, dot, number, percent, shorten, svg, text, visible};

fn hostile() -> Vec<String> {
    let mut ids: Vec<String> = [
        "plain",
        "",
        " ",
        "\"",
        "\\",
        "\\\"; node [label=\"x",
        "\\N\\G\\l",
        "a -> b; }",
        "<b>&amp;</b>",
        "]]>",
        "--><script>alert(1)</script>",
        "&#0;&quot;",
        "</title></svg>",
        "line\none\r\n\ttab",
        "\u{0}\u{1}\u{1b}[31mred\u{7f}\u{9b}",
        "\u{202e}gnp.exe\u{2066}\u{fffe}\u{ffff}\u{2028}",
        "日本語のとても長い識別子はここで短くなるはずですからもう少し続けます",
        "👩‍👩‍👧‍👦 é e\u{301}",
        "{curly|record}",
        "'single'",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.push("x".repeat(250) + "\"<&\u{7}" + &"y".repeat(250));
    ids
}

fn hop(kinds: &[&str]) -> Hop {
    Hop { weight: 2.5, probability: 0.5, kinds: kinds.iter().map(|&kind| kind.to_owned()).collect() }
}

fn contribution(seed: u32, id: &str, share: f64) -> Contribution {
    Contribution { seed, id: id.to_owned(), weight: 1.0, score: 0.1 * share, std_error: 0.0, restarted: 0.0, share }
}

/// A chain through all ids: node *n* is reached from node 0 by all before it, and every id is a type too.
fn chain(ids: &[String]) -> Explanation {
    let mut results = Vec::new();
    for end in 0..ids.len() {
        let nodes: Vec<u32> = (0..=u32::try_from(end).unwrap()).collect();
        let path = Path {
            probability: 0.45f64.powi(i32::try_from(end).unwrap()),
            share: 0.5,
            nodes,
            ids: ids[..=end].to_vec(),
            edges: ids[1..=end].iter().map(|id| hop(&[id])).collect(),
        };
        results.push(Explained {
            node: u32::try_from(end).unwrap(),
            id: ids[end].clone(),
            score: 0.2 / (1.0 + end as f64),
            contributions: vec![contribution(0, &ids[0], 1.0)],
            others: None,
            paths: vec![path],
            status: PathStatus::Best,
        });
    }
    Explanation { results, searched: Searched { nodes: 1, edges: 1, edges_read: 1, floor: 0.0 } }
}

#[test]
fn a_drawing_of_any_ids_is_well_formed_and_has_every_id_in_full() {
    let ids = hostile();
    let drawn = svg(&Picture::new(&chain(&ids), 0.1));
    let document = roxmltree::Document::parse(&drawn).unwrap();
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let allowed = ["svg", "title", "style", "rect", "g", "path", "circle", "text"];
    assert!(
        document.descendants().filter(|node| node.is_element()).all(|node| allowed.contains(&node.tag_name().name()))
    );
    let titles: Vec<&str> =
        document.descendants().filter(|node| node.has_tag_name("title")).filter_map(|node| node.text()).collect();
    let labels: Vec<&str> = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("wp-id"))
        .map(|node| node.text().unwrap_or(""))
        .collect();
    assert_eq!(labels.len(), ids.len());
    for (rank, id) in ids.iter().enumerate() {
        let whole = format!("{} (result {}, score ", visible(id), rank + 1);
        assert!(titles.iter().any(|title| title.starts_with(&whole)), "{whole:?}");
        assert!(labels.contains(&shorten(&visible(id), 26).as_str()), "{id:?}");
    }
    assert!(labels.iter().all(|label| label.chars().count() <= 26));
    for node in document.descendants() {
        for attribute in ["x", "y", "cx", "cy", "r", "width", "height"].iter().filter_map(|name| node.attribute(*name))
        {
            let plain = attribute == "100%" || attribute.parse::<f64>().is_ok_and(f64::is_finite);
            assert!(plain, "{attribute}");
        }
    }
}

/// The quoted strings of a DOT text, unescaped, and the text without them. Fails where a quote is not closed on its line.
fn unquoted(text: &str) -> (Vec<String>, String) {
    let (mut strings, mut rest) = (Vec::new(), String::new());
    for line in text.lines() {
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            if letter != '"' {
                rest.push(letter);
                continue;
            }
            let mut string = String::new();
            loop {
                match letters.next().expect("a quote is closed on its line") {
                    '"' => break,
                    '\\' => match letters.next().expect("something follows a backslash") {
                        'n' => string.push('\n'),
                        plain @ ('"' | '\\') => string.push(plain),
                        other => panic!("an escape that Graphviz would act on: \\{other}"),
                    },
                    plain => string.push(plain),
                }
            }
            strings.push(string);
        }
        rest.push('\n');
    }
    (strings, rest)
}

#[test]
fn a_graph_of_any_ids_keeps_them_in_their_quotes() {
    let ids = hostile();
    let written = dot(&Picture::new(&chain(&ids), 0.1));
    let (strings, rest) = unquoted(&written);
    for id in &ids {
        let shown = visible(id).replace('&', "&amp;");
        assert!(strings.contains(&shown), "{id:?} is no tooltip");
    }
    assert!(rest.chars().all(|letter| letter.is_ascii_alphanumeric() || " \n{}[]=;,.->_".contains(letter)), "{rest}");
    assert_eq!(rest.matches('{').count(), 1);
    assert_eq!(rest.matches("->").count(), ids.len() - 1);
    assert_eq!(rest.lines().count(), 5 + ids.len() + ids.len() - 1);
}

#[test]
fn text_has_a_line_for_what_it_tells_and_no_character_that_acts() {
    let told = text(&chain(&hostile()));
    assert!(told.chars().all(|letter| letter == '\n' || visible(&letter.to_string()) == letter.to_string()));
    let words: Vec<String> = (0..40).map(|place| format!("word_number_{place}.n.01")).collect();
    let told = text(&chain(&words));
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let joined = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        joined
            .contains("1 word_number_0.n.01 100 % from word_number_0.n.01 50 % 1 word_number_0.n.01 is a seed itself")
    );
    assert!(joined.contains("word_number_0.n.01 -[word_number_1.n.01 2.5]-> word_number_1.n.01 -[word"), "{joined}");
}

#[test]
fn seeds_are_told_by_name_or_counted() {
    let mut explanation = chain(&["a".to_owned()]);
    let result = &mut explanation.results[0];
    result.contributions = (0..7).map(|seed| contribution(seed, &format!("s{seed}"), 0.1)).collect();
    result.others = Some(Others { seeds: 30, score: 0.03, share: 0.3 });
    result.contributions[0].restarted = 0.005;
    result.status = PathStatus::Beyond;
    result.paths.clear();
    explanation.searched.floor = 1e-7;
    let told = text(&explanation);
    let expected = "10 % from s0 (5.0 % of it begun again anywhere), 10 % from s1, 10 % from s2, 10 % from s3,\n   \
                    10 % from s4, 50 % from 32 other seeds together\n   no path was met: 1 edges were read, which shows all of a \
                    probability above 1.00e-7\n";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn edges_that_paths_share_flow_once() {
    let ids = ["s", "m", "x", "y"].map(str::to_owned);
    let mut explanation = chain(&ids[..3]);
    // s -> m -> x stands already; s -> m -> y shares its first edge.
    let mut other = chain(&ids[..3]).results.remove(2);
    (other.node, other.id) = (3, "y".to_owned());
    (other.paths[0].nodes[2], other.paths[0].ids[2]) = (3, "y".to_owned());
    explanation.results.push(other);
    let picture = Picture::new(&explanation, 0.1);
    let flow = |target: usize| picture.edges.iter().find(|edge| edge.target == target).unwrap().flow;
    assert_eq!((picture.nodes.len(), picture.edges.len()), (4, 3));
    assert!((flow(1) - 0.45).abs() < 1e-12 && (flow(2) - 0.2025).abs() < 1e-12 && (flow(3) - 0.2025).abs() < 1e-12);
    assert_eq!(picture.nodes.iter().map(|node| node.seed).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(picture.nodes[3].result.unwrap().0, 4);
}

#[test]
fn nothing_is_a_picture_too() {
    let nothing = Explanation { results: Vec::new(), ..chain(&[]) };
    let picture = Picture::new(&nothing, 0.15);
    assert!(roxmltree::Document::parse(&svg(&picture)).is_ok());
    assert_eq!(unquoted(&dot(&picture)).1.lines().count(), 5);
}

#[test]
fn numbers_are_short() {
    let shares = [1.0, 0.9996, 0.62, 0.062, 0.0062, 0.000_062, 1e-9, 0.0, -1e-17].map(percent);
    assert_eq!(shares, ["100 %", ">99 %", "62 %", "6.2 %", "0.62 %", "<0.01 %", "<0.01 %", "0 %", "0 %"]);
    let numbers = [0.0, 1.0, 2.5, 1234.0, 0.052_34, 0.00012, 1.2e-7, 3e9].map(number);
    assert_eq!(numbers, ["0", "1", "2.5", "1234", "0.0523", "0.00012", "1.20e-7", "3.00e9"]);
    assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
    assert_eq!(shorten("abcdefghijk", 10), "abcde…hijk");
    assert_eq!(visible("a\nb\u{1b}\u{202e}"), "a␊b␛\u{fffd}");
}
