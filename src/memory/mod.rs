//! How much memory there is, and the budget of what messages and documents hold of it.

mod budget;
mod byte_queue;
mod held_bytes;
mod limit;

pub use budget::{MessageBudget, MessageBytes};
pub use byte_queue::NoRoom;
pub use limit::memory_limit;
