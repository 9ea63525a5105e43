//! ListModels.

use crate::support::{Grpc, World, reason, soon, wrong_fields};
use claude_grpc::{proto::v1, simulator::Behaviour};
use tonic::{Code, Status};

async fn page(
    grpc: &mut Grpc,
    page_size: i32,
    page_token: &str,
) -> Result<v1::ListModelsResponse, Status> {
    let request = v1::ListModelsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ..v1::ListModelsRequest::default()
    };
    Ok(soon(grpc.list_models(request)).await?.into_inner())
}

/// All models, and how many pages they took.
async fn all(grpc: &mut Grpc, page_size: i32) -> (Vec<v1::Model>, usize) {
    let (mut models, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = page(grpc, page_size, &token).await.unwrap();
        assert!(page_size == 0 || page.models.len() <= page_size as usize);
        models.extend(page.models);
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            return (models, pages);
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_make_the_same_list() {
    let mut world = World::start().await;
    let (whole, pages) = all(&mut world.grpc, 0).await;
    assert_eq!(pages, 1);
    let count = whole.len();
    assert!(count >= 3, "too few to page through");
    for size in [1, 2, 3, count, 1000] {
        let (paged, pages) = all(&mut world.grpc, size as i32).await;
        assert_eq!(paged, whole, "{size}");
        assert_eq!(pages, count.div_ceil(size), "{size}");
    }
}

#[tokio::test]
async fn every_field_of_a_model_is_read() {
    let mut world = World::start().await;
    let (models, _) = all(&mut world.grpc, 0).await;
    let by_id = |id: &str| models.iter().find(|model| model.id == id).unwrap();
    let sonnet = by_id("claude-sonnet-5-5");
    assert_eq!(sonnet.display_name, "Claude Sonnet 5.5 (simulated)");
    let created = sonnet.create_time.as_ref().unwrap();
    assert_eq!(created.to_string(), "2026-09-28T00:00:00Z");
    assert_eq!(sonnet.lifecycle(), v1::ModelLifecycle::Active);
    assert_eq!(sonnet.retire_time, None);
    assert_eq!(sonnet.deprecate_time, None);
    assert_eq!(sonnet.line, "sonnet");
    assert_eq!(
        (sonnet.max_input_tokens, sonnet.max_tokens),
        (1_000_000, 128_000)
    );
    for capability in [
        "structured_outputs",
        "effort",
        "effort.low",
        "thinking.types.adaptive",
    ] {
        assert!(
            sonnet.capabilities.iter().any(|it| it == capability),
            "{sonnet:?}"
        );
    }
    let older = by_id("claude-haiku-4-5-20251001");
    for lacking in ["effort.low", "thinking.types.adaptive"] {
        assert!(
            !older.capabilities.iter().any(|it| it == lacking),
            "{older:?}"
        );
    }
    let deprecated = by_id("claude-sonnet-4-5-20250929");
    let since = deprecated.deprecate_time.as_ref().unwrap();
    assert_eq!(since.to_string(), "2026-09-30T00:00:00Z");
    let times: Vec<_> = models
        .iter()
        .map(|it| it.create_time.unwrap().seconds)
        .collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older));
}

#[tokio::test]
async fn models_outside_the_allow_list_are_left_out() {
    let allowed = ["claude-haiku-5-5", "claude-opus-4-8"];
    let mut world = World::with(|setup| {
        setup.service.allowed_models = allowed.map(str::to_owned).to_vec();
    })
    .await;
    for size in [0, 1, 2] {
        // A page may be empty: the token alone tells whether it was the last.
        let (models, _) = all(&mut world.grpc, size).await;
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, allowed, "{size}");
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let mut world = World::start().await;
    for size in [-1, 1001, i32::MAX] {
        let status = page(&mut world.grpc, size, "").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(wrong_fields(&status), ["page_size"]);
    }
    for token in ["a b", "a\nb", "é", &"x".repeat(257)] {
        let status = page(&mut world.grpc, -1, token).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["page_size", "page_token"]);
    }
    assert_eq!(world.attempts(), 0);
    // Well-formed, and not of ours: the API finds out.
    let status = page(&mut world.grpc, 0, "a&b=c/../d?e#f")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["page_token"]);
    assert_eq!(reason(&status), "UPSTREAM_INVALID_REQUEST");
}

#[tokio::test]
async fn a_fault_is_the_same_as_for_any_other_call() {
    let mut world = World::start().await;
    world.simulator.always(Some(Behaviour::Overloaded));
    let status = page(&mut world.grpc, 0, "").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "UPSTREAM_OVERLOADED");
    assert_eq!(world.attempts(), 4);
}

#[tokio::test]
async fn models_are_listed_by_their_stage_of_life() {
    let mut world = World::start().await;
    let (all, _) = all(&mut world.grpc, 0).await;
    let list = |lifecycles: &[v1::ModelLifecycle]| v1::ListModelsRequest {
        lifecycles: lifecycles.iter().map(|stage| (*stage).into()).collect(),
        page_size: 1000,
        ..v1::ListModelsRequest::default()
    };
    let (active, deprecated) = (v1::ModelLifecycle::Active, v1::ModelLifecycle::Deprecated);
    for stages in [&[active][..], &[deprecated], &[active, deprecated]] {
        let listed = soon(world.grpc.list_models(list(stages))).await.unwrap();
        let wanted = all
            .iter()
            .filter(|model| stages.contains(&model.lifecycle()));
        let wanted: Vec<&v1::Model> = wanted.collect();
        let listed = listed.into_inner().models;
        assert!(!wanted.is_empty());
        assert_eq!(listed.iter().collect::<Vec<_>>(), wanted, "{stages:?}");
    }
    let wrong = list(&[v1::ModelLifecycle::Unspecified, active, active]);
    let status = soon(world.grpc.list_models(wrong)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["lifecycles[0]", "lifecycles[2]"]);
}
