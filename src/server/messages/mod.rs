//! The memory that messages hold, from their first byte to the end of their
//! answer.
//!
//! A message is gathered before the gRPC library sees it: that library reserves
//! what a message declares, so a few bytes would cost as much memory as the
//! largest message. Here each piece that arrives, and each piece that
//! decompression yields, is drawn from one budget. What does not fit waits, and
//! is rejected if it does not fit in time.

mod chunks;
mod decompress;
mod decompression_turns;
mod gather;

pub use decompression_turns::DecompressionTurns;
pub use gather::{GatheredBody, MessageCount, first_gathered_message, gathered_message};
