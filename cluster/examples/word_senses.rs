//! Which sense a word has in a sentence, by the WordNet that ships: `cargo run --release --example word_senses`.
//!
//! The senses of a lemma are the nodes whose ids begin with it (`bank.n.01`, `bank.n.02`, ...); there are no counts of how
//! frequent they are, so that the context alone decides. With WordNet's dictionary and counts use `walkprint evaluate senses`.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walkprint_cluster::senses::{Context, Dictionary, Entry, Lemma, SenseSettings, Word, disambiguate};
use walkprint_engine::graph::Graph;
use walkprint_engine::labels::Labels;
use walkprint_loaders::LoadOptions;

/// Sentences as their content words, lemma and part of speech.
const TEXT: [&str; 4] = [
    "bank/n money/n loan/n account/n deposit/v",
    "bank/n river/n water/n slope/n",
    "plant/n leaf/n grow/v garden/n flower/n",
    "plant/n factory/n worker/n machine/n manufacture/v",
];
/// More senses than any lemma has.
const MOST_SENSES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/wordnet/wordnet.tsv.gz");
    let loaded = walkprint_loaders::load(&[file], &LoadOptions::default(), &|_| ControlFlow::Continue(()))?;
    let labels = Labels::in_order(&loaded.edges.ids)?;
    let graph = Graph::in_memory(loaded.edges)?;
    let contexts: Vec<Context> = (1..).zip(TEXT).map(|(number, text)| context(number, text)).collect();
    let mut dictionary = Dictionary::default();
    for word in contexts.iter().flat_map(|context| &context.words) {
        for id in labels.with_prefix(&format!("{}.{}.", word.lemma.text, word.lemma.pos), MOST_SENSES)? {
            let node = labels.node(&id)?.ok_or("an id that was just found")?;
            dictionary.add(word.lemma.clone(), Entry { node, count: 0.0 });
        }
    }
    let (settings, stop) = (SenseSettings::default(), Arc::new(AtomicBool::new(false)));
    let answers = disambiguate(&graph, &labels, &dictionary, &contexts, &settings, &stop)?;
    for (context, text) in contexts.iter().zip(TEXT) {
        println!("{text}");
        for word in &context.words {
            let Some(answer) = answers.iter().find(|answer| answer.id == word.id) else { continue };
            match answer.senses.first() {
                Some(&(best, _)) => println!("    {:<12} {}", word.lemma.text, labels.id(best)?),
                None => println!("    {:<12} (no sense of its own)", word.lemma.text),
            }
        }
    }
    Ok(())
}

/// A sentence, all of whose words want a sense.
fn context(number: usize, text: &str) -> Context {
    let words = (1..).zip(text.split_whitespace()).map(|(place, word)| {
        let (lemma, pos) = word.split_once('/').unwrap_or((word, "n"));
        let lemma = Lemma { text: lemma.to_owned(), pos: pos.chars().next().unwrap_or('n') };
        Word { id: format!("s{number}.w{place}"), lemma, is_target: true }
    });
    Context { id: format!("s{number}"), words: words.collect() }
}
