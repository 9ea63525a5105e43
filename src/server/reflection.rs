//! Server reflection: `grpcurl` needs no proto files.

use crate::proto::DESCRIPTORS;
use tonic::service::RoutesBuilder;
use tonic_reflection::server::Builder;

/// Adds both versions: tools of today ask for v1, older ones for v1alpha.
pub fn add_to(routes: &mut RoutesBuilder) {
    let v1 = builder()
        .build_v1()
        .expect("the descriptors were made by the build script");
    let v1alpha = builder()
        .build_v1alpha()
        .expect("the descriptors were made by the build script");
    routes.add_service(v1).add_service(v1alpha);
}

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
