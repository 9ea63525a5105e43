//! What watches the service, and what it writes.

use super::{
    exit::{Exit, Failure},
    serve::address_unknown,
};
use crate::{
    access::{
        Refusals,
        limits::{LimitsConfig, Rates},
    },
    admin::{self, Admin, AdminConfig},
    config::{Config, Environment},
    secrets::Reload,
    server::Drain,
    store::StoreHealth,
    telemetry::{self, LogGuard, Price, Telemetry, TelemetryError, TelemetryGuard},
    upstream::Upstream,
};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// How long the last spans and figures may take on their way to the collector.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// What watches the service, and what it writes.
pub struct Observers {
    /// Observes calls.
    pub telemetry: Telemetry,
    running: TelemetryGuard,
    logs: LogGuard,
}

impl Observers {
    /// Starts what the configuration and the `OTEL_*` variables ask for.
    ///
    /// # Errors
    /// When they name what cannot be used.
    pub fn start(config: &Config, environment: &Environment) -> Result<Self, Failure> {
        let variable = |name: &str| Some(environment.get(name)?.to_str()?.to_owned());
        let settings = telemetry::OtelSettings::read(&variable);
        let ignored = settings.ignored.clone();
        let failure = |error: TelemetryError| Failure::usage(error.to_string());
        let models = &config.service.allowed_models;
        let (telemetry, running) =
            Telemetry::start(&config.telemetry, prices(&config.limits), models, settings)
                .map_err(failure)?;
        let logs = running
            .init_logs(&config.log, &telemetry)
            .map_err(failure)?;
        for problem in ignored {
            tracing::warn!(problem, "a variable was ignored");
        }
        Ok(Observers {
            telemetry,
            running,
            logs,
        })
    }

    /// What there is to observe.
    pub fn of(
        &self,
        upstream: Upstream,
        drain: &Drain,
        reloads: Vec<Arc<dyn Reload>>,
        refusals: Option<Refusals>,
        store: Option<StoreHealth>,
    ) -> admin::Observed {
        admin::Observed {
            telemetry: self.telemetry.clone(),
            upstream,
            drain: drain.clone(),
            log_level: Some(self.logs.level()),
            reloads,
            refusals,
            store: store.unwrap_or_default(),
        }
    }

    /// The admin port, if there is to be one.
    ///
    /// # Errors
    /// When its configured address cannot be listened on.
    pub async fn admin(
        &self,
        config: &AdminConfig,
        observed: admin::Observed,
    ) -> Result<Option<Admin>, Failure> {
        observed.add_gauges();
        if !config.enabled {
            return Ok(None);
        }
        let listen = config.listen.unwrap_or(admin::DEFAULT_LISTEN);
        match Admin::bind(listen, observed).await {
            Ok(admin) => {
                let address = admin.local_addr().map_err(address_unknown)?;
                tracing::info!(%address, "the admin port is open");
                Ok(Some(admin))
            }
            Err(error) if config.listen.is_none() => {
                tracing::warn!(%listen, %error, "no admin port: set admin.listen to have one");
                Ok(None)
            }
            Err(error) => {
                let reason = format!("cannot listen on {listen} (admin.listen): {error}");
                Err(Failure::new(Exit::Failed, reason))
            }
        }
    }

    /// Sends what is still to be told.
    pub async fn shut_down(self) {
        self.running.shut_down(LAST_EXPORT).await;
    }
}

/// Serves the admin port, if there is one, until dropped.
pub async fn serve_admin(admin: Option<Admin>) -> Infallible {
    if let Some(admin) = admin {
        admin.run().await;
    }
    std::future::pending().await
}

/// The one price table, as telemetry takes it.
fn prices(limits: &LimitsConfig) -> Vec<Price> {
    let price = |model: &str, above_input_tokens, rates: Rates| Price {
        model: model.to_owned(),
        above_input_tokens,
        input: rates.input,
        output: rates.output,
        cache_write_5m: rates.cache_write,
        cache_write_1h: rates.cache_write_1h,
        cache_read: rates.cache_read,
    };
    let mut prices = Vec::new();
    for listed in &limits.prices {
        prices.push(price(&listed.model, 0, listed.rates));
        if let (Some(above), Some(rates)) = (listed.long_above, listed.long_rates) {
            prices.push(price(&listed.model, above, rates));
        }
    }
    prices
}
