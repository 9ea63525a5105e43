//! The ids of Amazon Bedrock, taken apart.
//!
//! A model is called by its own id (`anthropic.claude-opus-4-6-v1`), by that of an
//! inference profile, which has the place of the call in front
//! (`eu.anthropic.claude-opus-4-6-v1`), or by the ARN of either. The ARN of an
//! application's own profile does not say what it stands for.

/// An id of Bedrock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BedrockId<'a> {
    /// The prefix of the inference profile. For a partition of AWS that sets prices
    /// of its own, the partition.
    pub(super) route: Option<&'a str>,
    /// The id of the model.
    pub(super) model: &'a str,
}

impl<'a> BedrockId<'a> {
    /// Takes an id apart; `None` if it is not one of a Claude model on Bedrock.
    pub(super) fn parse(id: &'a str) -> Option<Self> {
        match id.strip_prefix("arn:") {
            Some(arn) => BedrockId::of_arn(arn),
            None => BedrockId::of_profile(id),
        }
    }

    /// `aws:bedrock:eu-west-1:111122223333:inference-profile/eu.anthropic.…`
    fn of_arn(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(5, ':');
        let (partition, service) = (parts.next()?, parts.next()?);
        let (kind, id) = parts.nth(2)?.split_once('/')?;
        let names_model = matches!(kind, "inference-profile" | "foundation-model");
        if service != "bedrock" || !names_model {
            return None;
        }
        let id = BedrockId::of_profile(id)?;
        let route = match partition {
            "aws" => id.route,
            _ => Some(partition),
        };
        Some(BedrockId { route, ..id })
    }

    fn of_profile(id: &'a str) -> Option<Self> {
        let (route, model) = match id.starts_with("anthropic.") {
            true => (None, id),
            false => id
                .split_once('.')
                .map(|(route, model)| (Some(route), model))?,
        };
        model
            .starts_with("anthropic.")
            .then_some(BedrockId { route, model })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_profiles_and_arns_name_their_model() {
        const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        for (id, route) in [
            ("", None),
            ("global.", Some("global")),
            ("us-gov.", Some("us-gov")),
            ("arn:aws:bedrock:eu-west-1::foundation-model/", None),
            (
                "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.",
                Some("eu"),
            ),
            (
                "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/",
                Some("aws-us-gov"),
            ),
        ] {
            let id = format!("{id}{MODEL}");
            let expected = BedrockId {
                route,
                model: MODEL,
            };
            assert_eq!(BedrockId::parse(&id), Some(expected), "{id}");
        }
        for other in [
            "",
            "arn:",
            "claude-opus-5",
            "amazon.nova-pro-v1:0",
            "a.b.anthropic.claude-opus-5",
            "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc123",
            "arn:aws:s3:eu-west-1:111122223333:inference-profile/eu.anthropic.claude-opus-5",
        ] {
            assert_eq!(BedrockId::parse(other), None, "{other}");
        }
    }
}
