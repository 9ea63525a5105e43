//! What is large of a batch, in pieces: each is written and read within the short time
//! that Redis has for an answer. It is encrypted as a whole, so that only all pieces of
//! one value in their order can be read.

use super::{error::SharedStateError, keys::BatchKeys, state::SharedState};
use crate::store::RedisCommand;

/// Size of a piece, in bytes.
const PIECE: usize = 256 * 1024;

/// How long pieces are kept whose batch is not: its replica has died in between.
const UNUSED_MS: u64 = 60 * 60 * 1000;

/// The items of batches.
pub const ITEMS: &str = "items";

/// The bodies that submit batches.
pub const BODY: &str = "body";

/// The keys of this number of pieces.
pub fn keys_of(keys: &BatchKeys, what: &str, id: &str, number: usize) -> Vec<String> {
    (0..number).map(|it| keys.piece(what, id, it)).collect()
}

impl SharedState {
    /// Writes a token in pieces; returns their keys. They are kept for an hour, unless
    /// they are added to a batch.
    pub async fn write_pieces(
        &self,
        keys: &BatchKeys,
        what: &str,
        id: &str,
        token: &str,
    ) -> Result<Vec<String>, SharedStateError> {
        // A token is Base64, and never empty.
        let number = token.len().div_ceil(PIECE);
        let keys = keys_of(keys, what, id, number);
        for (key, piece) in keys.iter().zip(token.as_bytes().chunks(PIECE)) {
            let mut set = RedisCommand::new("SET", key);
            set.arg(piece).arg("PX").arg(UNUSED_MS);
            self.ask::<()>(set).await?;
        }
        Ok(keys)
    }

    /// A token that was written in this number of pieces.
    pub async fn read_pieces(
        &self,
        keys: &BatchKeys,
        what: &str,
        id: &str,
        number: usize,
    ) -> Result<String, SharedStateError> {
        let mut token = String::new();
        for key in keys_of(keys, what, id, number) {
            let piece: Option<String> = self.ask(RedisCommand::new("GET", &key)).await?;
            token.push_str(&piece.ok_or(SharedStateError::Invalid)?);
        }
        Ok(token)
    }
}
