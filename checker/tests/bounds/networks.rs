//! Random small networks: both extremes are those of brute force, and every walk is one.

use checker::bounds::{Edge, Heaviest, Node, Walk, WeightedGraph};

const NETWORKS: u64 = 20_000;
const NODES_MAX: u64 = 6;
const EDGES_MAX: u64 = 12;
const WEIGHT_MAX: u64 = 2;

/// A network as a list of edges, in the order of the nodes they leave.
#[derive(Debug)]
struct Small {
    nodes: usize,
    sources: Vec<Node>,
    sinks: Vec<bool>,
    edges: Vec<(Node, Option<Node>, u64)>,
}

impl Small {
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let nodes = 1 + random.below(NODES_MAX);
        let mut edges: Vec<_> = (0..random.below(EDGES_MAX + 1))
            .map(|_| {
                let (from, to) = (random.below(nodes) as Node, random.below(nodes) as Node);
                // Weights are rare, so that many networks with cycles are bounded.
                let weight = if random.below(3) == 0 { random.below(WEIGHT_MAX + 1) } else { 0 };
                (from, (random.below(8) > 0).then_some(to), weight)
            })
            .collect();
        edges.sort_unstable();
        Small {
            nodes: nodes as usize,
            sources: (0..nodes as Node).filter(|_| random.below(3) == 0).collect(),
            sinks: (0..nodes).map(|_| random.below(3) == 0).collect(),
            edges,
        }
    }

    fn network(&self) -> WeightedGraph {
        let mut network = WeightedGraph::new(self.sources.clone(), self.sinks.clone());
        for node in 0..self.nodes as Node {
            for (_, to, _) in self.edges.iter().filter(|(from, ..)| *from == node) {
                network.edge(*to, 0);
            }
            network.close();
        }
        network.weigh(self.edges.iter().map(|(_, _, weight)| *weight).collect());
        network
    }

    /// The least of all walks to a sink with at most so many edges, and the most of all to anywhere.
    fn extremes(&self, edges_max: usize) -> (Option<u64>, Option<u64>) {
        let mut now: Vec<Option<(u64, u64)>> = vec![None; self.nodes];
        for source in &self.sources {
            now[*source as usize] = Some((0, 0));
        }
        let (mut least, mut most) = (None, None);
        for _ in 0..=edges_max {
            let at_sinks = (0..self.nodes).filter(|node| self.sinks[*node]).filter_map(|node| now[node]);
            least = at_sinks.map(|(least, _)| least).chain(least).min();
            most = now.iter().flatten().map(|(_, most)| *most).chain(most).max();
            let mut next = vec![None; self.nodes];
            for (from, to, weight) in &self.edges {
                if let (Some((least, most)), Some(to)) = (now[*from as usize], to) {
                    let longer = (least + weight, most + weight);
                    let known: &mut Option<(u64, u64)> = &mut next[*to as usize];
                    *known = Some(known.map_or(longer, |known| widest(known, longer)));
                }
            }
            now = next;
        }
        (least, most)
    }

    /// Where a walk ends and what it weighs; `None` if it is none.
    fn follow(&self, start: Node, edges: &[Edge]) -> Option<(Node, u64)> {
        edges.iter().try_fold((start, 0), |(at, weight), edge| {
            let (from, to, more) = self.edges[*edge];
            (from == at).then_some((to?, weight + more))
        })
    }

    /// Where a walk from a source ends; `None` if it is none, or has another weight.
    fn end(&self, walk: &Walk) -> Option<Node> {
        let (end, weight) = self.follow(walk.start, &walk.edges)?;
        (self.sources.contains(&walk.start) && weight == walk.weight).then_some(end)
    }
}

fn widest(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0.min(other.0), one.1.max(other.1))
}

#[test]
fn extremes_agree_with_brute_force() {
    // Long enough to go round any cycle more often than any walk without one has weight.
    let simple = NODES_MAX as usize;
    let pumped = 3 * simple + simple * (simple * WEIGHT_MAX as usize + 1);
    let (mut none, mut bounded, mut unbounded) = (0, 0, 0);
    for seed in 0..NETWORKS {
        let small = Small::random(seed);
        let network = small.network();
        let (least, most) = small.extremes(simple);
        let lightest = network.lightest();
        assert_eq!(lightest.as_ref().map(|walk| walk.weight), least, "seed {seed}: {small:?}");
        match &lightest {
            Some(walk) => {
                let end = small.end(walk).expect("a walk");
                assert!(small.sinks[end as usize], "seed {seed}: {small:?}");
            }
            None => none += 1,
        }
        let (_, far) = small.extremes(pumped);
        match network.heaviest() {
            Some(Heaviest::Finite(walk)) => {
                assert!(small.end(&walk).is_some(), "seed {seed}: {small:?}");
                assert_eq!((Some(walk.weight), far), (most, most), "seed {seed}: {small:?}");
                bounded += 1;
            }
            Some(Heaviest::Unbounded { stem, cycle }) => {
                let knot = small.end(&stem).expect("a walk");
                let round = small.follow(knot, &cycle);
                assert!(round.is_some_and(|(end, weight)| end == knot && weight > 0), "seed {seed}");
                assert!(far > most, "seed {seed}: {small:?}");
                unbounded += 1;
            }
            None => assert!(small.sources.is_empty(), "seed {seed}: {small:?}"),
        }
    }
    assert!(none > 1_000 && bounded > 1_000 && unbounded > 1_000, "{none}, {bounded}, {unbounded}");
}

/// No walk of the extreme weight has fewer edges.
#[test]
fn walks_are_short() {
    for seed in 0..NETWORKS / 4 {
        let small = Small::random(seed);
        let network = small.network();
        if let Some(walk) = network.lightest().filter(|walk| !walk.edges.is_empty()) {
            let (shorter, _) = small.extremes(walk.edges.len() - 1);
            assert!(shorter.is_none_or(|least| least > walk.weight), "seed {seed}: {small:?}");
        }
        if let Some(Heaviest::Finite(walk)) = network.heaviest()
            && !walk.edges.is_empty()
        {
            let (_, shorter) = small.extremes(walk.edges.len() - 1);
            assert!(shorter.is_none_or(|most| most < walk.weight), "seed {seed}: {small:?}");
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) % bound
    }
}
