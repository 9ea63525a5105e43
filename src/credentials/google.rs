//! Access tokens of Google, with the credentials that Google's own library finds
//! (Application Default Credentials): a service account or an external account in a file,
//! those of a user, or the metadata server of the machine.

#[cfg(feature = "google")]
pub use with_library::LibraryTokens as GoogleTokens;

#[cfg(not(feature = "google"))]
pub use without_library::MissingTokens as GoogleTokens;

#[cfg(not(feature = "google"))]
mod without_library {
    use crate::credentials::CredentialsError;
    use http::HeaderValue;
    use tokio::time::Instant;

    /// What no build without Google's library has a value of.
    #[derive(Debug, Clone)]
    pub enum MissingTokens {}

    #[expect(clippy::unused_async, reason = "the other build's are async")]
    impl MissingTokens {
        /// This build has no library of Google.
        ///
        /// # Errors
        /// Always.
        pub fn found() -> Result<Self, CredentialsError> {
            Err(CredentialsError::NotBuilt("google"))
        }

        /// The header with a token.
        ///
        /// # Errors
        /// Never: there is none.
        pub async fn header(&self) -> Result<HeaderValue, CredentialsError> {
            match *self {}
        }

        /// The token is not accepted any more.
        pub fn reject(&self, _began: Instant) -> bool {
            match *self {}
        }
    }
}

#[cfg(feature = "google")]
mod with_library {
    use crate::credentials::{
        CredentialsError, CredentialsSource,
        renewed::{Expiring, Renewed},
        token_header::token_header,
    };
    use futures::FutureExt;
    use google_cloud_auth::{
        build_errors,
        credentials::{AccessTokenCredentials, Builder},
    };
    use http::HeaderValue;
    use secrecy::SecretString;
    use std::time::Duration;
    use tokio::time::{Instant, timeout};

    const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

    /// Maximum time that a call waits for a token.
    const LONGEST_WAIT: Duration = Duration::from_secs(10);

    /// The library's tokens, which it replaces ahead of their expiry by itself, and whose
    /// expiry it does not tell. It gives up after an error that it takes for a lasting one:
    /// then it is started again. Cloning is cheap.
    #[derive(Clone)]
    pub struct LibraryTokens(Renewed<AccessTokenCredentials>);

    impl LibraryTokens {
        /// The tokens of the credentials that the library finds.
        ///
        /// # Errors
        /// When it finds none, or cannot read them.
        pub fn found() -> Result<Self, CredentialsError> {
            build()?;
            let fetch = || {
                async {
                    let value = build()?;
                    value
                        .access_token()
                        .await
                        .map_err(|error| refused(&error))?;
                    let expires = None;
                    Ok(Expiring { value, expires })
                }
                .boxed()
            };
            let tokens = Renewed::new(CredentialsSource::Google, Box::new(fetch));
            Ok(LibraryTokens(tokens))
        }

        /// The header with a token.
        ///
        /// # Errors
        /// When there is no valid token, and none can be fetched.
        pub async fn header(&self) -> Result<HeaderValue, CredentialsError> {
            let source = CredentialsSource::Google;
            let library = self.0.get().await?;
            let token = timeout(LONGEST_WAIT, library.access_token()).await;
            let token = token.map_err(|_| CredentialsError::TimedOut(source))?;
            let token = token.map_err(|error| {
                if !error.is_transient() {
                    self.0.reject(Instant::now());
                }
                refused(&error)
            })?;
            token_header(source, &SecretString::from(token.token))
        }

        /// The token was not accepted by a request that began at this time: the next one
        /// gets another one, unless the library was just started. Returns whether it does.
        pub fn reject(&self, began: Instant) -> bool {
            self.0.reject(began)
        }
    }

    fn build() -> Result<AccessTokenCredentials, CredentialsError> {
        let found = Builder::default()
            .with_scopes([SCOPE])
            .build_access_token_credentials();
        found.map_err(|error| failed(unusable(&error)))
    }

    /// What is wrong with the file. The error itself may quote it.
    fn unusable(error: &build_errors::Error) -> &'static str {
        match error {
            _ if error.is_loading() => "failed to read the credentials file",
            _ if error.is_parsing() => "the credentials file is not valid",
            _ if error.is_unknown_type() => "the credentials file is of an unknown type",
            _ if error.is_missing_field() => "a field of the credentials file is missing",
            _ => "the credentials are not supported",
        }
    }

    /// Why there is no token. The error itself may have what a service answered.
    fn refused(error: &google_cloud_auth::errors::CredentialsError) -> CredentialsError {
        failed(if error.is_transient() {
            "the source does not answer"
        } else {
            "the source refuses a token"
        })
    }

    fn failed(problem: &'static str) -> CredentialsError {
        CredentialsError::failed(CredentialsSource::Google, problem)
    }
}
