//! Who has which core: the attacker and the API the last one, the service and its good
//! client the others.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// Leaves the last core to the attacker and the API, for this thread and what it starts.
pub fn keep_to_the_others() {
    let mut others = all();
    if others.len() > 1 {
        others.pop();
    }
    pin_to(others);
}

/// Runs something on the last core, with the processes that it starts.
pub fn on_the_last<T>(run: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None).unwrap();
    pin_to(all().pop());
    let result = run();
    sched_setaffinity(None, &before).unwrap();
    result
}

/// The cores of this process, when it started.
fn all() -> Vec<usize> {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    let found = CORES.get_or_init(|| {
        let set = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU)
            .filter(|cpu| set.is_set(*cpu))
            .collect()
    });
    found.clone()
}

fn pin_to(cores: impl IntoIterator<Item = usize>) {
    let mut set = CpuSet::new();
    cores.into_iter().for_each(|core| set.set(core));
    sched_setaffinity(None, &set).unwrap();
}
