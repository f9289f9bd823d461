//! Finds a ranking: what cannot be left for ever forms strongly connected components, and their order is
//! the rank.

use std::collections::{BTreeMap, BTreeSet};

use population::system::{Conditions, Live, Scope};

use super::components::{Components, first_helpful, strikes};
use super::graph::{Edge, Graph, Node};
use super::{Level, LevelOf, Pair, Pairs, Ranking, RankingOf, Ranks};

/// Why no ranking was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unranked<Pair, R> {
    /// The property is not a response property.
    NotAResponse(R),
    /// Pages may stay inside these pairs for ever, as far as pairs can tell.
    Left(Vec<Pair>),
}

/// Searches a ranking that proves the property for every population whose states consist of `pairs`.
///
/// # Errors
///
/// If there is none in which each level ranks one thing; the property may hold nevertheless.
pub fn find<S: Live>(
    system: &S,
    property: S::Property,
    pairs: &Pairs<S>,
) -> Result<RankingOf<S>, Unranked<Pair<S>, S::Property>> {
    let Some(scope @ (Scope::Control | Scope::Page)) = system.scope(property) else {
        return Err(Unranked::NotAResponse(property));
    };
    let graph = Graph::new(system, pairs);
    let pending = |node: &Node<S>| {
        let page = (scope == Scope::Page).then_some(&node.page);
        system.pending(property, &graph.controls[node.control], page)
    };
    let waiting = graph.pairs.iter().map(pending).collect();
    let every = vec![true; graph.pairs.len()];
    let mut search = Search { system, property, scope, graph: &graph, every, waiting };
    search.restrict();

    let mut levels = Vec::new();
    while search.waiting.contains(&true) {
        let Some(level) = search.level() else { return Err(Unranked::Left(search.left())) };
        levels.push(level);
        search.restrict();
    }
    Ok(Ranking { property, levels })
}

/// Ranks, and the indices of what they strike out.
type Helped<T, Step> = (Ranks<T, Step>, BTreeSet<usize>);

struct Search<'g, S: Live> {
    system: &'g S,
    property: S::Property,
    scope: Scope,
    graph: &'g Graph<S>,
    /// Where all pages stay from some point on.
    every: Vec<bool>,
    /// Where the page that waits stays; a part of `every`.
    waiting: Vec<bool>,
}

impl<S: Live> Search<'_, S> {
    fn restrict(&mut self) {
        let mut controls = vec![false; self.graph.controls.len()];
        for (id, node) in self.graph.pairs.iter().enumerate() {
            self.waiting[id] &= self.every[id];
            controls[node.control] |= self.waiting[id];
        }
        for (id, node) in self.graph.pairs.iter().enumerate() {
            self.every[id] &= controls[node.control];
        }
    }

    fn left(&self) -> Vec<Pair<S>> {
        let left = self.graph.pairs.iter().zip(&self.waiting).filter(|(_, waiting)| **waiting);
        left.map(|(node, _)| (self.graph.controls[node.control], node.page)).collect()
    }

    /// One level more, struck out already; `None` if no step helps anywhere.
    fn level(&mut self) -> Option<LevelOf<S>> {
        let met = self.met();
        if let Some((ranks, struck)) = self.control_level(&met) {
            for (id, node) in self.graph.pairs.iter().enumerate() {
                self.every[id] &= !struck.contains(&node.control);
            }
            return Some(Level::Control(ranks));
        }
        if let Some((ranks, struck)) = self.page_level(&met, &self.every, false) {
            struck.into_iter().for_each(|id| self.every[id] = false);
            return Some(Level::EveryPage(ranks));
        }
        let (ranks, struck) = self.page_level(&met, &self.waiting, true)?;
        struck.into_iter().for_each(|id| self.waiting[id] = false);
        Some(Level::WaitingPage(ranks))
    }

    /// The conditions that all records left under each control record meet.
    fn met(&self) -> Vec<Conditions<S>> {
        let mut met = vec![Conditions::<S>::all(); self.graph.controls.len()];
        for id in self.known() {
            let node = &self.graph.pairs[id];
            met[node.control] &= node.conditions;
        }
        met
    }

    fn control_level(&self, met: &[Conditions<S>]) -> Option<Helped<S::Control, S::ControlStep>> {
        let nodes: BTreeSet<_> = self.known().map(|id| self.graph.pairs[id].control).collect();
        let mut edges = BTreeSet::new();
        for id in self.known() {
            let node = &self.graph.pairs[id];
            let own = node.page_moves.iter().filter_map(|edge| edge.target);
            let control = node.control_moves.iter().filter(|edge| node.conditions.is_superset(edge.requires));
            let targets =
                own.chain(control.filter_map(|edge| edge.target)).filter(|target| self.every[*target]);
            edges.extend(targets.map(|target| (node.control, self.graph.pairs[target].control)));
        }
        let components = Components::new(self.graph.controls.len(), nodes.iter().copied(), edges);

        let mut moves = BTreeMap::new();
        for id in self.known() {
            let node = &self.graph.pairs[id];
            moves.entry(node.control).or_insert(&node.control_moves);
        }
        let helps = |rank: usize, step: S::ControlStep| {
            let edge = |control: &usize| moves[control].iter().find(|edge| edge.step == step);
            let enabled = |control: &usize, edge: &Edge<_, _>| met[*control].is_superset(edge.requires);
            let lower = |edge: &Edge<S::ControlStep, S::Condition>| {
                edge.control.and_then(|control| components.rank(control)).is_none_or(|after| after < rank)
            };
            strikes(components.members(rank), self.system.control_fairness(step), edge, enabled, lower)
        };
        let (helpful, struck) = first_helpful(&components, self.system.control_steps(), helps)?;
        let ranks = nodes.iter().filter_map(|id| Some((self.graph.controls[*id], components.rank(*id)?)));
        Some((Ranks { ranks: ranks.collect(), helpful }, struck))
    }

    fn page_level(
        &self,
        met: &[Conditions<S>],
        ranked: &[bool],
        waiting: bool,
    ) -> Option<Helped<Pair<S>, S::PageStep>> {
        let about_a_page = waiting && self.scope == Scope::Page;
        let discharges = |step| about_a_page && self.system.discharges(self.property, step);
        let nodes = || (0..ranked.len()).filter(|id| ranked[*id]);
        let edges = self.page_edges(ranked, &discharges);
        let components = Components::new(ranked.len(), nodes(), edges);

        let helps = |rank: usize, step: S::PageStep| {
            let node = |id: &usize| &self.graph.pairs[*id];
            let edge = |id: &usize| node(id).page_moves.iter().find(|edge| edge.step == step);
            let enabled = |id: &usize, edge: &Edge<_, _>| met[node(id).control].is_superset(edge.requires);
            let lower = |edge: &Edge<S::PageStep, S::Condition>| {
                let after = edge.target.and_then(|target| components.rank(target));
                discharges(edge.step) || after.is_none_or(|after| after < rank)
            };
            strikes(components.members(rank), self.system.page_fairness(step), edge, enabled, lower)
        };
        let (helpful, struck) = first_helpful(&components, self.system.page_steps(), helps)?;
        let pair = |id: usize| (self.graph.controls[self.graph.pairs[id].control], self.graph.pairs[id].page);
        let ranks = nodes().filter_map(|id| Some((pair(id), components.rank(id)?))).collect();
        Some((Ranks { ranks, helpful }, struck))
    }

    /// How a ranked page's pair may change: by its own steps, by control steps, and by steps of others.
    fn page_edges(
        &self,
        ranked: &[bool],
        discharges: &dyn Fn(S::PageStep) -> bool,
    ) -> BTreeSet<(usize, usize)> {
        let by_others = self.changes_of_control();
        let ids: BTreeMap<_, _> =
            self.graph.pairs.iter().enumerate().map(|(id, node)| ((node.control, node.page), id)).collect();
        let mut edges = BTreeSet::new();
        for id in (0..ranked.len()).filter(|id| ranked[*id]) {
            let node = &self.graph.pairs[id];
            let own =
                node.page_moves.iter().filter(|edge| !discharges(edge.step)).filter_map(|edge| edge.target);
            let control = node.control_moves.iter().filter(|edge| node.conditions.is_superset(edge.requires));
            let others = by_others[node.control].iter();
            let others = others.filter(|(requires, _)| node.conditions.is_superset(*requires));
            let others = others.filter_map(|(_, control)| ids.get(&(*control, node.page)).copied());
            let targets = own.chain(control.filter_map(|edge| edge.target)).chain(others);
            edges.extend(targets.filter(|target| ranked[*target]).map(|target| (id, target)));
        }
        edges
    }

    fn changes_of_control(&self) -> Vec<BTreeSet<(Conditions<S>, usize)>> {
        let mut changes = vec![BTreeSet::new(); self.graph.controls.len()];
        for id in self.known() {
            let node = &self.graph.pairs[id];
            for edge in node.page_moves.iter().filter(|edge| edge.target.is_some_and(|id| self.every[id])) {
                if let Some(control) = edge.control.filter(|control| *control != node.control) {
                    changes[node.control].insert((edge.requires, control));
                }
            }
        }
        changes
    }

    fn known(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.every.len()).filter(|id| self.every[*id])
    }
}
