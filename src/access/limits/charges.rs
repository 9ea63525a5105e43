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
    /// The process that reserved it, if the usage is lost with it.
    process: Option<u64>,
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
            process: self.process().filter(|_| !is_in_redis),
        })
    }

    /// Corrects a charge to what the batch has used, once. Does not block. A usage that
    /// was lost with its process, or is in a Redis that is not used any more, has
    /// nothing to correct.
    pub fn settle_batch<'a>(
        &self,
        charge: &StoredCharge,
        used: impl Iterator<Item = (&'a str, Tokens)>,
    ) {
        let is_lost = charge.process.is_some() && charge.process != self.process();
        if is_lost || (charge.is_in_redis && !self.is_in_redis()) {
            return;
        }
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

    /// Whether no price of a model is known.
    pub fn is_unpriced(&self, model: &str) -> bool {
        self.cost(model, &Tokens::default()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Clock, limits::LimitsConfig},
        call::Priority,
    };
    use std::time::Duration;

    const MODEL: &str = "claude-haiku-5-5";

    fn store() -> UsageStore {
        let config = LimitsConfig::default();
        UsageStore::with_store(&config, None, Duration::from_secs(60), Clock::default()).unwrap()
    }

    fn client() -> Identity {
        Identity {
            name: Arc::from("c"),
            tenant: Arc::from("c"),
            weight: 1,
            methods: Vec::new(),
            models: Vec::new(),
            hosts: Vec::new(),
            betas: Vec::new(),
            priority: Priority::Interactive,
            expires: None,
            limits: ClientLimits {
                dollars_per_day: Some(1000.0),
                ..ClientLimits::default()
            },
        }
    }

    fn of_input(input: u64) -> Tokens {
        Tokens {
            input,
            ..Tokens::default()
        }
    }

    #[tokio::test]
    async fn each_item_has_the_price_of_its_own_size() {
        // The price of the model rises above 100,000 input tokens.
        let (store, items) = (store(), [of_input(2_000); 100]);
        let estimates = items.iter().map(|tokens| (MODEL, *tokens));
        let charge = store
            .charge_batch(&client(), estimates.clone())
            .await
            .unwrap();
        let reserved = store.spent("c").nanodollars_in_day;
        assert!(reserved > 0);
        store.settle_batch(&charge, estimates);
        assert_eq!(store.spent("c").nanodollars_in_day, reserved);
    }

    #[tokio::test]
    async fn limits_per_minute_do_not_apply() {
        let mut client = client();
        client.limits.input_tokens_per_minute = Some(1);
        let estimate = [(MODEL, of_input(1_000))];
        let charged = store().charge_batch(&client, estimate.into_iter()).await;
        assert!(charged.is_ok());
    }

    #[tokio::test]
    async fn usage_that_was_lost_with_its_process_is_not_corrected() {
        let before = store();
        let estimate = [(MODEL, of_input(1_000_000))];
        let charge = before.charge_batch(&client(), estimate.into_iter()).await;
        let after = store();
        let calls = after.charge_batch(&client(), estimate.into_iter()).await;
        let spent = after.spent("c");
        after.settle_batch(&charge.unwrap(), std::iter::empty());
        assert_eq!(after.spent("c"), spent);
        after.settle_batch(&calls.unwrap(), std::iter::empty());
        assert_eq!(after.spent("c").nanodollars_in_day, 0);
    }
}
