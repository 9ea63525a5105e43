//! ListModels: the models of the API that the client may use.

use super::{
    Rpcs,
    answer::{saturating, time},
    call, model,
};
use crate::{
    claude::models::ModelInfo,
    proto::v1,
    status::{self, Path, Violations},
    upstream::ModelsQuery,
};
use tonic::{Request, Response, Status};

const LARGEST_PAGE: u32 = 1000;

/// Maximum length of a page token: tokens are model ids.
const MAX_TOKEN: usize = 256;

impl Rpcs {
    pub(super) async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let options = call::options(&request, false, &self.config.passthrough)?;
        let query = query(request.into_inner())?;
        let caller = options.caller.clone();

        let answered = self
            .claude
            .models(query, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, "page_token"))?;
        let page = answered.value;
        let next_page_token = match (page.has_more, page.last_id) {
            (true, Some(last_id)) => last_id,
            _ => String::new(),
        };
        let allowed = &self.config.allowed_models;
        Ok(Response::new(v1::ListModelsResponse {
            models: page
                .data
                .into_iter()
                .filter(|info| model::is_allowed(&info.id, allowed))
                // A client does not see models that it may not use.
                .filter(|info| {
                    caller
                        .as_ref()
                        .is_none_or(|it| it.may_ask(&info.id).is_ok())
                })
                .map(listed)
                .collect(),
            next_page_token,
        }))
    }
}

fn query(request: v1::ListModelsRequest) -> Result<ModelsQuery, Status> {
    let mut wrong = Violations::default();
    let limit = match u32::try_from(request.page_size) {
        Ok(0) => None,
        Ok(size) if size <= LARGEST_PAGE => Some(size),
        _ => {
            wrong.add("page_size", "must be between 1 and 1000");
            None
        }
    };
    let token = request.page_token;
    if token.len() > MAX_TOKEN || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        wrong.add("page_token", "must be a token that this service returned");
    }
    let lifecycles = lifecycles(&request.lifecycles, &mut wrong);
    wrong.into_result()?;
    Ok(ModelsQuery {
        limit,
        lifecycles,
        after_id: Some(token).filter(|token| !token.is_empty()),
    })
}

fn lifecycles(stages: &[i32], wrong: &mut Violations) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let path = Path::root("lifecycles").item(index);
        let name = match v1::ModelLifecycle::try_from(*stage) {
            Ok(v1::ModelLifecycle::Active) => "active",
            Ok(v1::ModelLifecycle::Deprecated) => "deprecated",
            Ok(v1::ModelLifecycle::Retired) => "retired",
            Ok(v1::ModelLifecycle::Unspecified) | Err(_) => {
                wrong.add(path, "is an unknown value");
                continue;
            }
        };
        if names.contains(&name) {
            wrong.add(path, "must be unique");
        } else {
            names.push(name);
        }
    }
    names
}

fn listed(info: ModelInfo) -> v1::Model {
    let capabilities = info.supported();
    v1::Model {
        id: info.id,
        display_name: info.display_name,
        create_time: time(Some(info.created_at)),
        lifecycle: lifecycle(&info.lifecycle).into(),
        retire_time: time(info.retires_at),
        max_input_tokens: saturating(info.max_input_tokens.unwrap_or(0)),
        max_tokens: saturating(info.max_tokens.unwrap_or(0)),
        capabilities,
        line: info.line.unwrap_or_default(),
        deprecate_time: time(info.deprecated_at),
    }
}

fn lifecycle(name: &str) -> v1::ModelLifecycle {
    match name {
        "active" => v1::ModelLifecycle::Active,
        "deprecated" => v1::ModelLifecycle::Deprecated,
        "retired" => v1::ModelLifecycle::Retired,
        _ => v1::ModelLifecycle::Unspecified,
    }
}
