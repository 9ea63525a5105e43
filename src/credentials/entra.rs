//! Access tokens of Microsoft Entra, with Microsoft's own library and the credentials that
//! the environment names: a client secret, a workload identity, or a managed identity, in
//! this order, as `DefaultAzureCredential` of the other SDKs has them.

#[cfg(feature = "azure")]
pub use with_library::entra_token;

#[cfg(not(feature = "azure"))]
pub use without_library::entra_token;

#[cfg(not(feature = "azure"))]
mod without_library {
    use crate::credentials::{BearerToken, CredentialsError};

    /// This build has no library of Microsoft.
    ///
    /// # Errors
    /// Always.
    pub fn entra_token() -> Result<BearerToken, CredentialsError> {
        Err(CredentialsError::NotBuilt("azure"))
    }
}

#[cfg(feature = "azure")]
mod with_library {
    use crate::credentials::{
        BearerToken, CredentialsError, CredentialsSource, renewed::Expiring,
        token_header::token_header,
    };
    use azure_core::{
        credentials::{Secret, TokenCredential},
        error::ErrorKind,
    };
    use azure_identity::{
        ClientSecretCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
        UserAssignedId, WorkloadIdentityCredential,
    };
    use futures::FutureExt;
    use http::HeaderValue;
    use secrecy::SecretString;
    use std::{borrow::Cow, env, error::Error, sync::Arc, time::SystemTime};

    /// What the tokens are for, as the SDK of Foundry says.
    const SCOPE: &str = "https://ai.azure.com/.default";

    /// The token of the credentials that the environment names.
    ///
    /// # Errors
    /// When they are not complete.
    pub fn entra_token() -> Result<BearerToken, CredentialsError> {
        credential()?;
        let fetch = Box::new(|| fetch().boxed());
        Ok(BearerToken::new(CredentialsSource::Entra, fetch))
    }

    /// With a credential of its own, which has no earlier token.
    async fn fetch() -> Result<Expiring<HeaderValue>, CredentialsError> {
        let token = credential()?.get_token(&[SCOPE], None).await;
        let token = token.map_err(|error| failed(problem(&error)))?;
        let secret = SecretString::from(token.token.secret());
        Ok(Expiring {
            value: token_header(CredentialsSource::Entra, &secret)?,
            expires: Some(SystemTime::from(token.expires_on)),
        })
    }

    fn credential() -> Result<Arc<dyn TokenCredential>, CredentialsError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let client = variable("AZURE_CLIENT_ID");
        let found = || -> azure_core::Result<Arc<dyn TokenCredential>> {
            if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
                let tenant = variable("AZURE_TENANT_ID").unwrap_or_default();
                let client = client.unwrap_or_default();
                let secret = Secret::new(secret);
                return Ok(ClientSecretCredential::new(&tenant, client, secret, None)?);
            }
            if variable("AZURE_FEDERATED_TOKEN_FILE").is_some() {
                return Ok(WorkloadIdentityCredential::new(None)?);
            }
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: client.map(UserAssignedId::ClientId),
                ..ManagedIdentityCredentialOptions::default()
            };
            Ok(ManagedIdentityCredential::new(Some(options))?)
        };
        found().map_err(|_| failed("the variables AZURE_… of the environment are not valid"))
    }

    /// What is wrong: no more than the status and the numbers of the errors, since the
    /// error itself has what a service answered.
    fn problem(error: &azure_core::Error) -> Cow<'static, str> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            let of_azure = error.downcast_ref::<azure_core::Error>();
            match of_azure.map(azure_core::Error::kind) {
                Some(ErrorKind::HttpResponse { status, .. }) => {
                    let status = u16::from(*status);
                    return format!("the token endpoint answered {status}").into();
                }
                Some(ErrorKind::Io | ErrorKind::Connection) => {
                    return "failed to connect to the token endpoint".into();
                }
                _ => cause = error.source(),
            }
        }
        "the source failed".into()
    }

    fn failed(problem: impl Into<Cow<'static, str>>) -> CredentialsError {
        CredentialsError::failed(CredentialsSource::Entra, problem)
    }
}
