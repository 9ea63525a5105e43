//! How much memory there is, and the budget of what messages and documents hold of it.

mod budget;
mod limit;

pub use budget::{MessageBudget, MessageBytes, NoRoom};
pub use limit::memory_limit;
