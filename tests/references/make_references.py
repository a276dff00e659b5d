#!/usr/bin/env python3
"""Make pagerank.json: personalized PageRank as networkx and igraph compute it.

Walkprint's answers are compared with those of the tools its users come from.
The tools are not run by the tests; their scores are checked in, and this
script made them.

Usage:
    pip install networkx igraph numpy scipy
    python3 make_references.py

The output goes beside this script; `--out FILE` puts it elsewhere. Other
versions of the tools may change the last digits of a score.

Output: a JSON list, one case a line, each with

    name          graph/seeds/restart_prob/dangling/tool, unique
    tool          "networkx" or "igraph"
    tool_version
    dangling      "restart" or "uniform", see below
    restart_prob  1 - the tool's alpha or damping
    seeds         {id: weight}, not normalised
    edges         [[source, target, weight], ...], directed; parallel edges
                  stand separately and their weights are to be summed
    scores        {id: score} of every node, 17 significant digits, sum 1

Ids are strings in the graph `small` and integers in `karate` and `random`. As
keys of `seeds` and `scores` integers are written as strings, as JSON demands.
Every node occurs in an edge.

Definitions. P is row-stochastic by weight, rows of dangling nodes (no edge
out) are zero; s = seeds / sum(seeds); a = restart_prob;
q = a s (I - (1-a) P)^-1.

    restart   a walk at a dangling node goes on at the seeds: q / sum(q)
    uniform   ... at any node, each as likely: q with the rows of dangling
              nodes replaced by 1/n

networkx does `restart` when `dangling` is left out, and `uniform` when it is
given equal weights. igraph (PRPACK) has no such choice and does `restart`.

No case is written unless it passes three checks: it agrees with a dense solve
of its policy (every score within 1e-10, for networkx 1e-11); the sum is 1; and
where the graph has dangling nodes, it disagrees with the other policy, so that
the policy's name is known to be right.
"""

import argparse
import json
import random
from pathlib import Path

import igraph
import networkx
import numpy

RESTART_PROBS = (0.05, 0.15, 0.5, 0.85)
TOLERANCE = {"networkx": 1e-11, "igraph": 1e-10}
OTHER_POLICY = {"restart": "uniform", "uniform": "restart"}


# The graphs: (name, edges, {name of seeds: {id: weight}}).


def small():
    """By hand: one of each thing that is easy to get wrong."""
    edges = [
        ("a", "b", 2.0),
        ("a", "b", 1.0),  # parallel: 3 in sum
        ("a", "c", 0.5),
        ("b", "c", 1.0),
        ("b", "a", 4.0),
        ("c", "c", 3.0),  # self-loop
        ("c", "a", 1.0),
        ("c", "leaf", 0.25),  # leaf: dangling
        ("b", "leaf", 0.125),
        ("source", "a", 7.0),  # source: no edge in
        ("x", "y", 1.0),  # second component
        ("y", "x", 2.0),
        ("y", "end", 1.0),  # end: dangling
        ("y", "end", 0.5),  # parallel, into a dangling node
        ("hermit", "hermit", 1.5),  # no other edge; not dangling
    ]
    seeds = {
        "single": {"a": 1.0},
        "weighted": {"source": 1.0, "y": 2.5, "leaf": 0.5, "hermit": 0.25},
        "dangling": {"leaf": 1.0},
    }
    return "small", edges, seeds


def karate():
    """Zachary's karate club, each tie in both directions. None dangling."""
    edges = []
    for u, v, weight in networkx.karate_club_graph().edges(data="weight"):
        edges += [(u, v, float(weight)), (v, u, float(weight))]
    seeds = {
        "single": {0: 1.0},
        "weighted": {33: 3.0, 5: 1.0, 16: 0.5},
    }
    return "karate", sorted(edges), seeds


def random_graph():
    """60 nodes, 240 distinct edges of uneven weight, 4 nodes dangling."""
    draw = random.Random(20_240_229).random  # the same in every Python 3
    ids = [10 * i + 7 for i in range(60)]  # integers with gaps
    weights = {}
    while len(weights) < 240:
        u, v = ids[int(draw() * 56)], ids[int(draw() * 60)]
        weights[u, v] = round(0.01 + 10.0 * draw() ** 3, 3)
    edges = sorted((u, v, weight) for (u, v), weight in weights.items())
    assert {node for edge in edges for node in edge[:2]} == set(ids)
    seeds = {
        "single": {107: 1.0},
        "weighted": {7: 1.0, 237: 4.0, 407: 0.75, 597: 2.0},  # 597 is dangling
    }
    return "random", edges, seeds


# The tools. Each returns {id: score}.


def with_networkx(nodes, edges, seeds, restart_prob, dangling):
    graph = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    for u, v, weight in edges:  # a DiGraph has one edge a pair: sum
        before = graph.get_edge_data(u, v, {"weight": 0.0})["weight"]
        graph.add_edge(u, v, weight=before + weight)
    uniform = {node: 1.0 for node in nodes} if dangling == "uniform" else None
    return networkx.pagerank(
        graph,
        alpha=1.0 - restart_prob,
        personalization=seeds,
        dangling=uniform,
        weight="weight",
        tol=1e-15,  # networkx multiplies by the number of nodes
        max_iter=100_000,
    )


def with_igraph(nodes, edges, seeds, restart_prob, dangling):
    assert dangling == "restart", "igraph has no other policy"
    index = {node: i for i, node in enumerate(nodes)}
    pairs = [(index[u], index[v]) for u, v, _ in edges]
    graph = igraph.Graph(n=len(nodes), edges=pairs, directed=True)
    scores = graph.personalized_pagerank(
        directed=True,
        damping=1.0 - restart_prob,
        reset=[seeds.get(node, 0.0) for node in nodes],
        weights=[weight for _, _, weight in edges],
        implementation="prpack",
    )
    return dict(zip(nodes, scores))


TOOLS = [
    ("networkx", networkx.__version__, with_networkx, ("restart", "uniform")),
    ("igraph", igraph.__version__, with_igraph, ("restart",)),
]


# The check.


def dense(nodes, edges, seeds, restart_prob, dangling):
    """Scores in the order of `nodes`, by a linear solve."""
    n = len(nodes)
    index = {node: i for i, node in enumerate(nodes)}
    walk = numpy.zeros((n, n))
    for u, v, weight in edges:
        walk[index[u], index[v]] += weight
    for row in walk:
        total = row.sum()
        if total > 0.0:
            row /= total
        elif dangling == "uniform":
            row[:] = 1.0 / n
    start = numpy.zeros(n)
    for node, weight in seeds.items():
        start[index[node]] = weight
    start /= start.sum()
    system = numpy.eye(n) - (1.0 - restart_prob) * walk
    q = restart_prob * numpy.linalg.solve(system.T, start)
    return q / q.sum() if dangling == "restart" else q


def checked(name, case, scores, tool):
    """The largest error of a score; fails if the case is wrong."""
    nodes, edges, seeds, restart_prob, dangling = case
    found = numpy.array([scores[node] for node in nodes])
    error = abs(found - dense(*case)).max()
    assert error < TOLERANCE[tool], f"{name}: off the dense solve by {error:.1e}"
    assert abs(found.sum() - 1.0) < 1e-10, f"{name}: sum {found.sum()}"
    if has_dangling(nodes, edges):
        other = dense(nodes, edges, seeds, restart_prob, OTHER_POLICY[dangling])
        apart = abs(found - other).max()
        assert apart > 1e-5, f"{name}: both policies fit, {apart:.1e} apart"
    return error


def has_dangling(nodes, edges):
    return {u for u, _, _ in edges} != set(nodes)


# The output.


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def digits17(score):
    text = f"{score:.17g}"
    return text if set(text) & set(".e") else text + ".0"


def as_line(head, scores):
    """One case as one line of JSON."""
    listed = ",".join(f'"{node}":{digits17(score)}' for node, score in scores.items())
    return f'{compact(head)[:-1]},"scores":{{{listed}}}}}'


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("--out", type=Path, default=here / "pagerank.json")
    arguments = parser.parse_args()

    cases, worst = [], {}
    for graph, edges, seed_sets in (small(), karate(), random_graph()):
        nodes = sorted({node for edge in edges for node in edge[:2]})
        for seeds_name, seeds in seed_sets.items():
            for restart_prob in RESTART_PROBS:
                for tool, version, run, policies in TOOLS:
                    for dangling in policies:
                        if dangling == "uniform" and not has_dangling(nodes, edges):
                            continue  # the same as restart
                        name = f"{graph}/{seeds_name}/{restart_prob}/{dangling}/{tool}"
                        case = (nodes, edges, seeds, restart_prob, dangling)
                        scores = run(*case)
                        scores = {node: scores[node] for node in nodes}
                        error = checked(name, case, scores, tool)
                        worst[graph, tool] = max(error, worst.get((graph, tool), 0.0))
                        head = {
                            "name": name,
                            "tool": tool,
                            "tool_version": version,
                            "dangling": dangling,
                            "restart_prob": restart_prob,
                            "seeds": seeds,
                            "edges": edges,
                        }
                        cases.append(as_line(head, scores))

    text = "[\n" + ",\n".join(cases) + "\n]\n"
    names = [case["name"] for case in json.loads(text)]
    assert len(set(names)) == len(names), "two cases have one name"
    arguments.out.write_text(text, encoding="utf-8")
    print(f"{len(cases)} cases, {len(text)} bytes")
    for (graph, tool), error in worst.items():
        print(f"  {graph:8} {tool:10} largest error of a score {error:.1e}")


if __name__ == "__main__":
    main()
