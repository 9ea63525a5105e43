//! Circles in a graph.

use super::Graph;
use std::collections::BTreeSet;

/// Every group of nodes that reach each other, in the order of their names.
pub fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for node in graph.keys() {
        if found.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let circle: BTreeSet<String> = reached(graph, node)
            .into_iter()
            .filter(|other| reached(graph, other).contains(node))
            .collect();
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// What can be reached from a node.
fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(node) = next.pop() {
        for other in graph.get(&node).into_iter().flatten() {
            if seen.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    seen
}

#[test]
fn a_circle_is_found() {
    let graph = |edges: &[(&str, &[&str])]| -> Graph {
        let set = |to: &[&str]| to.iter().map(|it| (*it).to_owned()).collect();
        edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), set(to)))
            .collect()
    };
    let tree = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert!(circles(&tree).is_empty());
    let circle = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
    let expected = BTreeSet::from(["b".to_owned(), "c".to_owned()]);
    assert_eq!(circles(&circle), [expected]);
}
