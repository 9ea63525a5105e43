//! AWS KMS: decrypts the API key when the service starts.

use super::{KmsConfig, SecretError};
use zeroize::Zeroizing;

/// Decrypts the configured ciphertext. This is the only call that the service
/// makes to KMS, so a policy with `kms:Decrypt` on this key is enough.
///
/// # Errors
/// When the file cannot be read or KMS rejects the call: wrong key, wrong
/// encryption context, no permission.
#[cfg(feature = "kms")]
pub async fn decrypt(config: &KmsConfig) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_kms::{error::ProvideErrorMetadata, primitives::Blob};

    let (Some(path), Some(key_id)) = (&config.ciphertext_file, &config.key_id) else {
        return Err(SecretError::Kms(
            "secrets.kms.ciphertext_file and secrets.kms.key_id must be set".to_owned(),
        ));
    };
    let ciphertext = ciphertext(std::fs::read(path).map_err(SecretError::read(path))?);
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let client = aws_sdk_kms::Client::new(&loader.load().await);
    let answer = client
        .decrypt()
        .ciphertext_blob(Blob::new(ciphertext))
        // KMS would find the key by itself; naming it rejects a ciphertext that
        // was created with somebody else's key.
        .key_id(key_id)
        .set_encryption_context(Some(
            config.encryption_context.clone().into_iter().collect(),
        ))
        .send()
        .await
        .map_err(|error| {
            let code = error.code().unwrap_or("no answer").to_owned();
            SecretError::Kms(code)
        })?;
    let plain = answer.plaintext.map(Blob::into_inner).unwrap_or_default();
    Ok(Zeroizing::new(plain))
}

/// This build does not include KMS.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kms"))]
#[expect(clippy::unused_async, reason = "the other build's is async")]
pub async fn decrypt(_config: &KmsConfig) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    Err(SecretError::Kms(
        "this build does not include AWS KMS: build with --features kms".to_owned(),
    ))
}

/// `aws kms encrypt` prints Base64, which many users write to a file unchanged.
#[cfg(feature = "kms")]
fn ciphertext(file: Vec<u8>) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text: Vec<u8> = file
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    STANDARD.decode(text).unwrap_or(file)
}
