//! Signatures of AWS (Signature Version 4), with the credentials that the AWS SDK finds:
//! environment, profiles, web identity, containers, instance metadata.

use super::{CredentialsError, RequestToSign};
use http::HeaderMap;
use tokio::time::Instant;

#[cfg(feature = "aws")]
pub use with_sdk::SdkSigner as AwsSigner;

#[cfg(not(feature = "aws"))]
pub use without_sdk::MissingSigner as AwsSigner;

#[cfg(not(feature = "aws"))]
mod without_sdk {
    use super::{CredentialsError, HeaderMap, Instant, RequestToSign};
    use std::time::SystemTime;

    /// What no build without the AWS SDK has a value of.
    #[derive(Debug, Clone)]
    pub enum MissingSigner {}

    #[expect(clippy::unused_async, reason = "the other build's are async")]
    impl MissingSigner {
        /// This build has no AWS SDK.
        ///
        /// # Errors
        /// Always.
        pub async fn load(
            _service: &'static str,
            _region: &str,
            _profile: Option<&str>,
        ) -> Result<Self, CredentialsError> {
            Err(CredentialsError::NotBuilt("aws"))
        }

        /// Adds the headers of a signature.
        ///
        /// # Errors
        /// Never: there is none.
        pub async fn sign(
            &self,
            _request: RequestToSign<'_>,
            _headers: &mut HeaderMap,
        ) -> Result<(), CredentialsError> {
            match *self {}
        }

        /// The credentials are not accepted any more.
        pub fn reject(&self, _began: Instant) -> bool {
            match *self {}
        }

        /// When the credentials expire.
        pub fn expiry(&self) -> Option<SystemTime> {
            match *self {}
        }
    }
}

#[cfg(feature = "aws")]
mod with_sdk {
    use super::{CredentialsError, HeaderMap, Instant, RequestToSign};
    use crate::credentials::{
        CredentialsSource,
        renewed::{Expiring, Renewed},
    };
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{
        Credentials,
        provider::{
            ProvideCredentials, SharedCredentialsProvider, error::CredentialsError as SourceError,
        },
    };
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    use futures::FutureExt;
    use http::{HeaderName, HeaderValue};
    use std::{fmt, sync::Arc, time::SystemTime};

    /// Headers that are part of a signature, besides those that it adds: a proxy may add
    /// others, or change them.
    const SIGNED: [&str; 4] = [
        "anthropic-beta",
        "anthropic-version",
        "anthropic-workspace-id",
        "content-type",
    ];

    /// Signs requests to one service in one region. Cloning is cheap.
    #[derive(Clone)]
    pub struct SdkSigner {
        service: &'static str,
        region: Arc<str>,
        credentials: Renewed<Credentials>,
    }

    impl SdkSigner {
        /// Signs with the credentials that the AWS SDK finds, those of a profile if one is
        /// named.
        ///
        /// # Errors
        /// When there are none.
        pub async fn load(
            service: &'static str,
            region: &str,
            profile: Option<&str>,
        ) -> Result<Self, CredentialsError> {
            let mut loader = aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new(region.to_owned()));
            if let Some(profile) = profile {
                loader = loader.profile_name(profile);
            }
            let config = loader.load().await;
            let provider = config.credentials_provider();
            let provider = provider.ok_or_else(|| failed("no source is configured"))?;
            let fetch = Box::new(move || fetch(provider.clone()).boxed());
            let signer = SdkSigner {
                service,
                region: Arc::from(region),
                credentials: Renewed::new(CredentialsSource::Aws, fetch),
            };
            signer.credentials.get().await?;
            Ok(signer)
        }

        /// Adds the headers of a signature.
        ///
        /// # Errors
        /// When there are no valid credentials.
        pub async fn sign(
            &self,
            request: RequestToSign<'_>,
            headers: &mut HeaderMap,
        ) -> Result<(), CredentialsError> {
            let identity = Credentials::clone(&*self.credentials.get().await?).into();
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(self.service)
                .time(SystemTime::now())
                .settings(SigningSettings::default())
                .build()
                .map_err(|_| CredentialsError::Unsignable)?
                .into();
            let signed = SIGNED.iter().filter_map(|name| {
                let value = headers.get(*name)?.to_str().ok()?;
                Some((*name, value))
            });
            let body = request.body.map_or(&[][..], |body| &body[..]);
            let signable = SignableRequest::new(
                request.method.as_str(),
                request.url.as_str(),
                signed,
                SignableBody::Bytes(body),
            );
            let signable = signable.map_err(|_| CredentialsError::Unsignable)?;
            let signature = sign(signable, &params).map_err(|_| CredentialsError::Unsignable)?;
            let (instructions, _) = signature.into_parts();
            for (name, value) in instructions.headers() {
                let name = HeaderName::from_bytes(name.as_bytes());
                let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(value)) else {
                    return Err(CredentialsError::Unsignable);
                };
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            Ok(())
        }

        /// The credentials were not accepted by a request that began at this time: the
        /// next one gets others, unless these were just fetched. Returns whether it does.
        pub fn reject(&self, began: Instant) -> bool {
            self.credentials.reject(began)
        }

        /// When the credentials expire; `None` if they do not.
        pub fn expiry(&self) -> Option<SystemTime> {
            self.credentials.expiry()
        }
    }

    impl fmt::Debug for SdkSigner {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "SdkSigner({}, {})", self.service, self.region)
        }
    }

    async fn fetch(
        provider: SharedCredentialsProvider,
    ) -> Result<Expiring<Credentials>, CredentialsError> {
        let found = provider.provide_credentials().await;
        let value = found.map_err(|error| failed(problem(&error)))?;
        Ok(Expiring {
            expires: value.expiry(),
            value,
        })
    }

    fn failed(problem: &'static str) -> CredentialsError {
        CredentialsError::failed(CredentialsSource::Aws, problem)
    }

    /// What is wrong. The error itself may have what a program or a service answered.
    fn problem(error: &SourceError) -> &'static str {
        match error {
            SourceError::CredentialsNotLoaded(_) => "no source has any",
            SourceError::ProviderTimedOut(_) => "the source does not answer",
            SourceError::InvalidConfiguration(_) => "the configuration of the source is not valid",
            SourceError::ProviderError(_) => "the source failed",
            _ => "the source failed in an unknown way",
        }
    }
}
