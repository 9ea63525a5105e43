//! Charges that outlive the call, and a restart: those of batches.

use super::{
    amounts::UsageAmounts, calendar::Date, exceeded::AccessError, usage_store::UsageStore,
};
use crate::{
    access::{ClientLimits, Identity},
    models::{Tokens, catalogue},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is reserved in the budgets of a client for a batch, to be kept with the batch
/// until it is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCharge {
    client: String,
    /// The budgets when it was reserved: only those that applied are corrected.
    budgets: ClientLimits,
    charged: UsageAmounts,
    /// The date that it counts for.
    date: Date,
    is_in_redis: bool,
}

impl UsageStore {
    /// Reserves the estimated usage of a batch in the budgets of the client, at the
    /// price of batches. Limits per minute do not apply to it.
    ///
    /// # Errors
    /// Why the batch is rejected.
    pub async fn charge_batch(
        &self,
        identity: &Identity,
        estimates: impl Iterator<Item = (&str, Tokens)>,
    ) -> Result<StoredCharge, AccessError> {
        let mut ask = UsageAmounts::default();
        for (model, tokens) in estimates {
            if self.is_unpriced(model) && identity.limits.are_in_dollars() {
                return Err(AccessError::UnpricedModel(Arc::from(model)));
            }
            ask = ask.plus(self.batch_amounts(model, &tokens));
        }
        let budgets = ClientLimits {
            tokens_per_day: identity.limits.tokens_per_day,
            tokens_per_month: identity.limits.tokens_per_month,
            dollars_per_day: identity.limits.dollars_per_day,
            dollars_per_month: identity.limits.dollars_per_month,
            ..ClientLimits::default()
        };
        let budgeted = Arc::new(Identity {
            limits: budgets,
            ..identity.clone()
        });
        let reserved = self.take(&budgeted, ask).await?;
        let (date, is_in_redis) = reserved.place();
        Ok(StoredCharge {
            client: identity.name.to_string(),
            budgets,
            charged: ask,
            date,
            is_in_redis,
        })
    }

    /// Corrects a charge to what the batch has used, once. Does not block.
    pub fn settle_batch<'a>(
        &self,
        charge: &StoredCharge,
        used: impl Iterator<Item = (&'a str, Tokens)>,
    ) {
        let used = used
            .map(|(model, tokens)| self.batch_amounts(model, &tokens))
            .fold(UsageAmounts::default(), UsageAmounts::plus);
        let difference = charge.charged.corrected_by(&used, charge.date);
        let client = Arc::from(charge.client.as_str());
        self.correct(&client, &charge.budgets, difference, charge.is_in_redis);
    }

    /// A batch costs a fraction of what its requests cost one by one.
    fn batch_amounts(&self, model: &str, tokens: &Tokens) -> UsageAmounts {
        let price = self.cost(model, tokens).unwrap_or(0);
        UsageAmounts {
            input: tokens.all_input(),
            output: tokens.output,
            nanodollars: (price as f64 * catalogue().batch().factor).round() as u64,
            ..UsageAmounts::default()
        }
    }

    fn is_unpriced(&self, model: &str) -> bool {
        self.cost(model, &Tokens::default()).is_none()
    }
}
