//! Tasks that must end, although what they send has not been taken.
//!
//! A body can end its response only when it is polled, and without a window, or with a
//! full socket, the HTTP library does not poll it. What ends such a response is that
//! the task is dropped which sends it: that of its stream, for which the peer then gets
//! RST_STREAM, or with HTTP/1.1 that of its connection.
//!
//! A call keeps the id of its task: a handle would cost an allocation. A task that is
//! woken looks here, which costs it a load as long as none must end.

use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::task::{Id, try_id};

/// The tasks that must end. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct EndedTasks(Arc<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    count: AtomicUsize,
    ids: Mutex<Vec<Id>>,
}

/// A task that must end, as long as this is kept.
#[derive(Debug)]
pub struct EndedTask {
    tasks: EndedTasks,
    id: Id,
}

impl EndedTasks {
    /// A task must end; it must be woken.
    pub fn add(&self, id: Id) -> EndedTask {
        let mut ids = self.0.ids.lock();
        ids.push(id);
        self.0.count.store(ids.len(), Ordering::Release);
        EndedTask {
            tasks: self.clone(),
            id,
        }
    }

    /// Whether the task that asks must end.
    pub fn has_current(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
            && try_id().is_some_and(|id| self.0.ids.lock().contains(&id))
    }
}

impl Drop for EndedTask {
    fn drop(&mut self) {
        let Tasks { count, ids } = &*self.tasks.0;
        let mut ids = ids.lock();
        if let Some(index) = ids.iter().position(|id| *id == self.id) {
            ids.swap_remove(index);
        }
        count.store(ids.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_knows_that_it_must_end() {
        let tasks = EndedTasks::default();
        let ended = tasks.clone();
        tokio::spawn(async move {
            assert!(!ended.has_current());
            let this = ended.add(tokio::task::id());
            assert!(ended.has_current());
            drop(this);
            assert!(!ended.has_current());
        })
        .await
        .unwrap();
        let other = tokio::spawn(async {}).id();
        let _other = tasks.add(other);
        let ended = tasks.clone();
        let is_current = tokio::spawn(async move { ended.has_current() });
        assert!(!is_current.await.unwrap());
    }
}
