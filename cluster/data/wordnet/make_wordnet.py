#!/usr/bin/env python3
"""Make wordnet.tsv.gz: WordNet 3.0 as a typed graph with readable labels.

WordNet names its synsets by byte offsets (02084071-n), which nobody can read
or type. This script gives every synset a label of the form lemma.pos.NN, as
NLTK writes them (dog.n.01, bank.n.02, bank.v.05), and writes one typed pointer
a line: source, target, type.

Usage:
    python3 make_wordnet.py FOLDER

FOLDER holds wn30_dict.ukb.txt.gz and wn30_rel.ukb.txt.gz, the text forms that
UKB's wnet2dict.pl and wnet2graph.pl write (README.md says from what). The
output goes beside this script; `--out FILE` puts it elsewhere. Only the
standard library is used. The text is the same on every machine; the compressed
bytes depend on the version of zlib alone.

Input lines:
    dict   bank 09213565-n:25 08420278-n:20 ... 02039431-v:2 ...
           lemma, then its synsets in sense order within each part of speech,
           each with its frequency in the tagged texts
    rel    u:02084071-n v:02083346-n s:hypernym

Label of a synset: of its (lemma, sense) pairs, the one with the highest
frequency; then the lowest sense number; then the shortest lemma; then the
first in the alphabet. NLTK takes the synset's first lemma, an order which the
dict file does not hold, so about a fifth of the labels differ from NLTK's.
A label that both use always names the same synset in both, for the sense
numbers are WordNet's own. Satellite adjectives are `a`, as in the offsets.

Type names are those of wnet2graph.pl, but for `unknown`: its tables for
adjectives and adverbs lack the pointer symbol `+`, and nothing else, so
`unknown` is read as `derivationally_related_form`, which `+` is.
"""

import argparse
import gzip
import io
import re
import sys
from collections import Counter
from pathlib import Path

SYNSETS = 117_659  # WordNet 3.0, all parts of speech
POINTERS = 377_592  # lines of the rel file

RENAMED = {"unknown": "derivationally_related_form"}

SYNSET = re.compile(r"\d{8}-[nvar]")

# Labels a reader will try first. If one moves, the rule above was changed.
EXPECTED = {
    "02084071-n": "dog.n.01",
    "02121620-n": "cat.n.01",
    "09213565-n": "bank.n.01",  # sloping land beside water
    "08420278-n": "bank.n.02",  # the financial institution
    "09411430-n": "river.n.01",
    "13384557-n": "money.n.01",
    "07020895-n": "music.n.01",
}


def lines(path):
    """Yield (line number, fields) of a gzipped text file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.split()


def fail(path, number, expected, got):
    sys.exit(f"{path}:{number}: expected {expected}, got {got!r}")


def read_labels(path):
    """Return {synset: label}, each label used once."""
    best = {}  # synset -> the smallest of its (rank, label)
    for number, fields in lines(path):
        if len(fields) < 2:
            fail(path, number, "a lemma and its synsets", " ".join(fields))
        lemma = fields[0]
        senses = Counter()  # senses seen so far, by part of speech
        for field in fields[1:]:
            synset, _, frequency = field.partition(":")
            if not SYNSET.fullmatch(synset) or not frequency.isdigit():
                fail(path, number, "offset-pos:frequency", field)
            pos = synset[-1]
            senses[pos] += 1
            sense = senses[pos]
            rank = (-int(frequency), sense, len(lemma), lemma)
            label = f"{lemma}.{pos}.{sense:02}"
            best[synset] = min(best.get(synset, (rank, label)), (rank, label))
    labels = {synset: label for synset, (_, label) in best.items()}
    assert len(set(labels.values())) == len(labels), "labels are not unique"
    assert not any(re.search(r"\s", label) for label in labels.values())
    return labels


def read_pointers(path, labels):
    """Return every pointer as (source, target, type), in labels, sorted."""
    pointers = []
    for number, fields in lines(path):
        if [field[:2] for field in fields] != ["u:", "v:", "s:"]:
            fail(path, number, "u:SYNSET v:SYNSET s:TYPE", " ".join(fields))
        source, target, type_ = (field[2:] for field in fields)
        for synset in (source, target):
            if synset not in labels:
                fail(path, number, "a synset of the dict file", synset)
        type_ = RENAMED.get(type_, type_)
        pointers.append((labels[source], labels[target], type_))
    pointers.sort()
    return pointers


def write(path, pointers):
    text = io.StringIO()
    text.write("source\ttarget\ttype\n")
    for pointer in pointers:
        text.write("\t".join(pointer) + "\n")
    # No name and no time in the gzip header: same input, same bytes.
    with open(path, "wb") as raw:
        with gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as out:
            out.write(text.getvalue().encode("utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds the two wn30_*.ukb.txt.gz files")
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here / "wordnet.tsv.gz")
    arguments = parser.parse_args()

    labels = read_labels(arguments.folder / "wn30_dict.ukb.txt.gz")
    pointers = read_pointers(arguments.folder / "wn30_rel.ukb.txt.gz", labels)
    assert len(labels) == SYNSETS, f"{len(labels)} synsets, expected {SYNSETS}"
    assert len(pointers) == POINTERS, f"{len(pointers)} pointers, expected {POINTERS}"
    for synset, label in EXPECTED.items():
        assert labels[synset] == label, f"{synset} is {labels[synset]}, expected {label}"

    write(arguments.out, pointers)

    nodes = {node for source, target, _ in pointers for node in (source, target)}
    itself = sum(source == target for source, target, _ in pointers)
    counts = [
        ("synsets with a label", len(labels)),
        ("synsets in a pointer", len(nodes)),
        ("pointers", len(pointers)),
        ("distinct triples", len(set(pointers))),
        ("distinct pairs", len({pointer[:2] for pointer in pointers})),
        ("pointers to itself", itself),
    ]
    counts += sorted(Counter(type_ for _, _, type_ in pointers).items())
    for name, count in counts:
        print(f"{name:32} {count:7}")


if __name__ == "__main__":
    main()
