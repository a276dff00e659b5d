"""Answers personalized PageRank questions by one Python library, for `walkprint-bench peers`.

    python worker.py SYSTEM DIRECTORY

DIRECTORY holds the graph as rows: `offsets.u64` (nodes + 1), `targets.u32` and, for a weighted graph, `weights.f64`,
all little-endian. First the worker prints one line about itself, then one line for each line it reads:

    {"restart_prob": 0.15, "setting": {"method": ..., "tolerance": ...}, "questions": [[[node, weight], ...], ...],
     "scores": null or an existing directory}
    -> {"seconds": [...], "peak_kib": ...}        or {"error": "..."}

`seconds` has one entry a question: what the library's own call took, from a graph that it already holds to a vector or
dictionary of all scores. With `scores`, the vector of question I is written to DIRECTORY/I.f64, off the clock.

Walks that meet a dangling node go on at the seeds: every library's default.
"""

import importlib.metadata
import json
import os
import sys
import time

# Libraries may print; the protocol has the real stdout for itself.
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np


def status_kib(key):
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return None


def forget_peak():
    """So that the peak after a request is that request's own, where Linux allows it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


class Graph:
    """The rows as they lie on disk."""

    def __init__(self, directory):
        self.offsets = np.fromfile(os.path.join(directory, "offsets.u64"), dtype="<u8")
        self.targets = np.fromfile(os.path.join(directory, "targets.u32"), dtype="<u4")
        weights = os.path.join(directory, "weights.f64")
        self.weights = np.fromfile(weights, dtype="<f8") if os.path.exists(weights) else None
        self.nodes = len(self.offsets) - 1

    def sources(self):
        return np.repeat(np.arange(self.nodes, dtype=np.int64), np.diff(self.offsets.astype(np.int64)))

    def matrix(self):
        from scipy import sparse

        values = np.ones(len(self.targets)) if self.weights is None else self.weights
        rows = (values, self.targets.astype(np.int32), self.offsets.astype(np.int32))
        return sparse.csr_matrix(rows, shape=(self.nodes, self.nodes))


class Igraph:
    """PRPACK, whose tolerance is fixed. Weights are passed explicitly: by default igraph ignores them here."""

    package = "python-igraph"

    def __init__(self, graph):
        import igraph

        edges = np.column_stack([graph.sources(), graph.targets.astype(np.int64)])
        self.graph = igraph.Graph(n=graph.nodes, edges=edges, directed=True)
        self.weighted = graph.weights is not None
        if self.weighted:
            self.graph.es["weight"] = graph.weights.tolist()

    def prepare(self, setting, seeds, restart_prob):
        ask = dict(damping=1 - restart_prob, weights="weight" if self.weighted else None, directed=True)
        if len({weight for _, weight in seeds}) == 1:
            ask["reset_vertices"] = [node for node, _ in seeds]
        else:
            reset = np.zeros(self.graph.vcount())
            for node, weight in seeds:
                reset[node] += weight
            ask["reset"] = reset.tolist()
        return lambda: self.graph.personalized_pagerank(implementation="prpack", **ask)

    def vector(self, answer):
        return np.array(answer)


class Networkx:
    """Power iteration that stops when the L1 change is below `tol` times the number of nodes: hence the division."""

    package = "networkx"

    def __init__(self, graph):
        import networkx

        self.networkx = networkx
        self.weight = None if graph.weights is None else "weight"
        self.graph = networkx.DiGraph()
        self.graph.add_nodes_from(range(graph.nodes))
        pairs = (graph.sources().tolist(), graph.targets.tolist())
        if graph.weights is None:
            self.graph.add_edges_from(zip(*pairs))
        else:
            self.graph.add_weighted_edges_from(zip(*pairs, graph.weights.tolist()))

    def prepare(self, setting, seeds, restart_prob):
        # A change of d leaves an error of at most d * (1 - a) / a.
        tolerance = setting["tolerance"] * restart_prob / (1 - restart_prob) / len(self.graph)
        ask = dict(alpha=1 - restart_prob, personalization=dict(seeds), weight=self.weight, tol=tolerance)
        return lambda: self.networkx.pagerank(self.graph, max_iter=10_000, **ask)

    def vector(self, answer):
        return np.array([answer[node] for node in range(len(self.graph))])


class Scipy:
    """What a good numerical programmer writes: push mass from the seeds, all nodes a round, until little is left."""

    package = "scipy"

    def __init__(self, graph):
        from scipy import sparse

        matrix = graph.matrix()
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        rows = sparse.diags(np.divide(1.0, sums, out=np.zeros_like(sums), where=sums != 0))
        self.onward = (rows @ matrix).T.tocsr()
        self.nodes = graph.nodes

    def solve(self, mass, restart_prob, tolerance):
        onward, going = self.onward, 1 - restart_prob
        core = restart_prob * mass
        while True:
            mass = onward @ mass
            mass *= going
            if mass.sum(axis=0).max() <= tolerance:
                break
            core += restart_prob * mass
        return core / core.sum(axis=0)

    def prepare(self, setting, seeds, restart_prob):
        mass = np.zeros(self.nodes)
        for node, weight in seeds:
            mass[node] += weight
        return lambda: self.solve(mass, restart_prob, setting["tolerance"])

    def lanes(self, setting):
        return setting.get("lanes", 1)

    def prepare_lanes(self, setting, questions, restart_prob):
        mass = np.zeros((self.nodes, len(questions)))
        for lane, seeds in enumerate(questions):
            for node, weight in seeds:
                mass[node, lane] += weight
        return lambda: self.solve(mass, restart_prob, setting["tolerance"])

    def vector(self, answer):
        return answer


class ScikitNetwork:
    """Solvers that honour weights and personalization. Each call normalises and transposes the matrix anew."""

    package = "scikit-network"

    def __init__(self, graph):
        from sknetwork.ranking import PageRank

        self.ranking, self.matrix = PageRank, graph.matrix()

    def prepare(self, setting, seeds, restart_prob):
        solver, tolerance = setting["method"], setting["tolerance"]
        if solver == "piteration":
            tolerance *= restart_prob / (1 - restart_prob)
        ranking = self.ranking(damping_factor=1 - restart_prob, solver=solver, n_iter=10_000, tol=tolerance)
        weights = dict(seeds)
        return lambda: ranking.fit_predict(self.matrix, weights)

    def vector(self, answer):
        return np.asarray(answer, dtype=np.float64)


SYSTEMS = {"igraph": Igraph, "networkx": Networkx, "scipy": Scipy, "scikit-network": ScikitNetwork}


def timed(call):
    began = time.perf_counter()
    answer = call()
    return time.perf_counter() - began, answer


def keep(system, answer, directory, number):
    if directory is not None:
        vector = np.ascontiguousarray(system.vector(answer), dtype="<f8")
        vector.tofile(os.path.join(directory, f"{number}.f64"))


def ask(system, request):
    setting, restart_prob, questions = request["setting"], request["restart_prob"], request["questions"]
    questions = [[(node, weight) for node, weight in seeds] for seeds in questions]
    lanes = system.lanes(setting) if hasattr(system, "lanes") else 1
    seconds = []
    if lanes == 1:
        for number, seeds in enumerate(questions):
            taken, answer = timed(system.prepare(setting, seeds, restart_prob))
            seconds.append(taken)
            keep(system, answer, request["scores"], number)
        return seconds
    for first in range(0, len(questions), lanes):
        group = questions[first : first + lanes]
        # All lanes do work: where questions run short they are asked again.
        filled = [group[lane % len(group)] for lane in range(lanes)]
        taken, answer = timed(system.prepare_lanes(setting, filled, restart_prob))
        for lane in range(len(group)):
            seconds.append(taken / lanes)
            keep(system, answer[:, lane], request["scores"], first + lane)
    return seconds


def reply(message):
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def main():
    name, directory = sys.argv[1:]
    graph = Graph(directory)
    began = time.perf_counter()
    system = SYSTEMS[name](graph)
    built = time.perf_counter() - began
    del graph
    reply(
        {
            "system": system.package,
            "version": importlib.metadata.version(system.package),
            "platform": "Python " + sys.version.split()[0] + ", numpy " + np.__version__,
            "construction_seconds": built,
            "resident_kib": status_kib("VmRSS"),
        }
    )
    for line in sys.stdin:
        try:
            forget_peak()
            reply({"seconds": ask(system, json.loads(line)), "peak_kib": status_kib("VmHWM")})
        except Exception as error:
            reply({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
